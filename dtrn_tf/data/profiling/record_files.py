"""Which files people mean: names, patterns and directories."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator

from dtrn_tf.errors import DataError

_SPLIT = "train"


def find_record_files(arguments: Iterable[str]) -> list[str]:
    """Lists files, in order and once each.

    Args:
        arguments: Files, patterns (`*`, `?`, `**`), or directories: of a directory with a
            directory `train` the files of that one, else all files below it whose name holds
            `tfrecord`.

    Raises:
        DataError: There is no argument, or one of them finds nothing.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        paths = list(_expand(argument))
        if not paths:
            raise DataError(f"{argument}: should be a TFRecord file, a pattern that finds some, or "
                            "a directory with files whose names hold 'tfrecord'. Received: nothing "
                            "of the kind. Name the files themselves.")
        found.update(dict.fromkeys(paths))
    if not found:
        raise DataError("FILES should name at least one TFRecord file, pattern or directory. "
                        "Received: none. See --help.")
    return list(found)


def _expand(argument: str) -> Iterator[str]:
    if os.path.isdir(argument):
        split = os.path.join(argument, _SPLIT)
        yield from _below(split if os.path.isdir(split) else argument)
    elif os.path.isfile(argument):
        yield argument
    else:
        yield from sorted(p for p in glob.glob(argument, recursive=True) if os.path.isfile(p))


def _below(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(names)
                    if "tfrecord" in name and not name.startswith((".", "_")))
