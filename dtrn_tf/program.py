"""What every program of this package does around its `main`: flags, help, errors, exit code."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence

# TensorFlow's start-up notes say nothing about the run; real warnings still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging  # noqa: E402

from dtrn_tf.errors import UserError  # noqa: E402

_OUR_PACKAGES = ("pipelines", "export", "benchmarks", "__main__")


def run(main: Callable[..., int | None], *, files: bool = False, error_code: int = 1) -> None:
    """Parses flags strictly, runs `main`, and turns a `UserError` into one line and an exit code.

    Args:
        main: The program; may return an exit code.
        files: Whether arguments that are no flags are allowed; `main` gets the list of them.
        error_code: The exit code of a `UserError` and of wrong flags.
    """

    def guarded(argv: Sequence[str]) -> int:
        logging.set_verbosity(logging.WARNING)
        try:
            _check_keras_generation()
            return (main(list(argv[1:])) if files else main()) or 0
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return error_code

    app.run(guarded, flags_parser=lambda argv: _parse(argv, files, error_code))


def _check_keras_generation() -> None:
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        raise UserError("TF_USE_LEGACY_KERAS should not be set: the programs run on Keras 3 "
                        "(layers and models run under both). Received: "
                        f"TF_USE_LEGACY_KERAS={os.environ['TF_USE_LEGACY_KERAS']}. "
                        "Remedy: unset it.")


def resolved_flags(without: Sequence[str] = ()) -> str:
    """All flags of the program with their final values, as a flagfile.

    Args:
        without: Flags that do not belong to what is run.
    """
    ours = [flag for module, module_flags in flags.FLAGS.flags_by_module_dict().items()
            if _is_ours(module) for flag in module_flags]
    lines = [flag.serialize() for flag in sorted(ours, key=lambda flag: flag.name)
             if flag.value is not None and flag.name not in without]
    return "\n".join(line for line in lines if line) + "\n"


def _parse(argv: Sequence[str], files: bool, error_code: int) -> list[str]:
    if any(argument in ("--help", "-help", "-h") for argument in argv[1:]):
        print(help_text(argv[0]))
        sys.exit(0)
    try:
        for path in _flagfiles(argv):
            _check_flagfile(path)
        leftover = flags.FLAGS(list(argv))[1:]
        if leftover and not files:
            raise UserError(f"arguments should all be flags (--name=value). Received: {leftover}.")
    except (flags.Error, UserError) as error:
        print(f"error: {error}\nSee --help.", file=sys.stderr)
        sys.exit(error_code)
    return [argv[0], *leftover]


def _flagfiles(argv: Sequence[str]) -> list[str]:
    paths = [a.split("=", 1)[1] for a in argv if a.startswith(("--flagfile=", "-flagfile="))]
    return paths + [value for flag, value in zip(argv, argv[1:]) if flag == "--flagfile"]


def _check_flagfile(path: str) -> None:
    """absl skips lines without dashes and joins trailing comments to the value; we refuse both."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise UserError(f"--flagfile: {path} should be a readable file. "
                        f"Received: {error.strerror}.") from error
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith(("--", "#", "//")):
            raise UserError(f"{path}:{number}: a line should be `--flag=value` or `# comment`. "
                            f"Received: {text!r}.")
        if text.startswith("--") and " #" in text:
            raise UserError(f"{path}:{number}: a comment should stand on a line of its own. "
                            f"Received: {text!r}.")


def help_text(program: str) -> str:
    """The program's docstring and its flags, grouped by the module that defines them."""
    main = sys.modules["__main__"]
    groups = [(module, module_flags)
              for module, module_flags in flags.FLAGS.flags_by_module_dict().items()
              if _is_ours(module)]
    # The program's own flags first; then groups by the first line of their module's docstring.
    groups.sort(key=lambda group: group[0] in sys.modules)
    parts = [(main.__doc__ or program).strip(), ""]
    for module, module_flags in groups:
        doc = sys.modules[module].__doc__ if module in sys.modules else "What and where."
        parts.append(f"{(doc or module).strip().splitlines()[0].rstrip('.')}:")
        parts += [_flag_help(flag) for flag in module_flags] + [""]
    parts.append("Flags can stand in a file, one a line: --flagfile=FILE. Flags after it win.")
    return "\n".join(parts)


def _flag_help(flag: flags.Flag) -> str:
    choices = getattr(flag.parser, "enum_values", None)
    value = "|".join(choices) if choices else flag.flag_type().split()[-1].upper()
    head = f"  --[no]{flag.name}" if flag.boolean else f"  --{flag.name}={value}"
    # absl puts the choices of an enum, and a remark on lists, into the help text.
    text = re.sub(r"^<[^>]*>: |;\s+repeat this option.*$", "", flag.help, flags=re.DOTALL)
    default = (flag.default_as_str or "").strip("'")
    note = " (required)" if flag.name in _required() else default and f" (default: {default})"
    indent = " " * 6
    return head + "\n" + textwrap.fill(" ".join(text.split()) + note, width=92,
                                       initial_indent=indent, subsequent_indent=indent)


def _required() -> set[str]:
    return {flag.name for module in flags.FLAGS.flags_by_module_dict().values() for flag in module
            if any("must have a value" in validator.message for validator in flag.validators)}


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in _OUR_PACKAGES or module == sys.argv[0]
