"""Rules for values that come from YAML: each says what was expected and what came."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import yaml

from dtrn_tf.errors import SchemaError

T = TypeVar("T")


def one_of(value: Any, allowed: Iterable[Any], where: str) -> None:
    allowed = list(allowed)
    if value not in allowed:
        raise SchemaError(f"{where} should be one of {allowed}. Received: {value!r}.")


def at_least(value: Any, minimum: float, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= minimum:
        raise SchemaError(f"{where} should be a number >= {minimum}. Received: {value!r}.")


def whole_at_least(value: Any, minimum: int, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SchemaError(f"{where} should be a whole number >= {minimum}. Received: {value!r}.")


def identifier(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value.isidentifier():
        raise SchemaError(
            f"{where} should be a name of letters, digits and underscores that does not start "
            f"with a digit (it becomes a signature and variable name). Received: {value!r}."
        )


def flag(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise SchemaError(f"{where} should be true or false. Received: {value!r}.")


def text(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value:
        raise SchemaError(f"{where} should be text. Received: {value!r}.")


def no_duplicates(kind: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SchemaError(f"every {kind} should have a name of its own. "
                          f"Received more than once: {twice}.")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{where} should be a mapping of keys to values. Received: {value!r}.")
    return value


def sequence(value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise SchemaError(f"`{where}` should be a list. Received: {value!r}.")
    return value


def build(
    cls: Any,
    item: Any,
    where: str,
    convert: Mapping[str, Callable[[Any], Any]] | None = None,
    whole_file: bool = False,
) -> Any:
    """Makes a dataclass of a mapping; says which key is unknown or missing.

    Args:
        cls: The dataclass.
        item: The mapping.
        where: How messages name the mapping.
        convert: Per key, how its value becomes the field's value.
        whole_file: The mapping is all there is, so messages about its parts leave `where` out.
    """
    values = dict(mapping(item, where))
    fields = dataclasses.fields(cls)
    unknown = sorted(set(map(str, values)) - {f.name for f in fields})
    if unknown:
        raise SchemaError(f"keys of {where} should be among {[f.name for f in fields]}. "
                          f"Received unknown: {unknown}.")
    required = {f.name for f in fields if f.default is dataclasses.MISSING
                and f.default_factory is dataclasses.MISSING}
    missing = sorted(required - set(values))
    if missing:
        raise SchemaError(f"{where} should have the keys {sorted(required)}. Missing: {missing}.")
    optional = {f.name for f in fields if f.default is None}
    try:
        for key, converter in (convert or {}).items():
            if key in values and not (values[key] is None and key in optional):
                values[key] = converter(values[key])
        return cls(**values)
    except SchemaError as error:
        raise error if whole_file else SchemaError(f"{where}: {error}") from error


def build_all(
    cls: Any, items: Any, where: str, convert: Mapping[str, Callable[[Any], Any]] | None = None
) -> tuple[Any, ...]:
    """Makes a dataclass of every mapping of a list."""
    return tuple(
        build(cls, item, f"{where}[{i}]", convert)
        for i, item in enumerate(sequence(items, where))
    )


def load(path: str | os.PathLike[str], what: str, make: Callable[[Any], T]) -> T:
    """Makes something of a YAML file; messages begin with its path.

    Args:
        path: The file.
        what: Names it in messages.
        make: From plain lists and dicts.

    Raises:
        SchemaError: The file is missing, is no YAML, or holds a mistake.
    """
    config = read_yaml(path, what)
    try:
        return make(config)
    except SchemaError as error:
        raise SchemaError(f"{os.fspath(path)}: {error}") from error


def read_yaml(path: str | os.PathLike[str], what: str) -> Any:
    """Reads a YAML file; `what` names it in messages.

    Raises:
        SchemaError: The file is missing or is no YAML.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise SchemaError(f"{os.fspath(path)}: {what} should be a readable YAML file. "
                          f"Received: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SchemaError(f"{os.fspath(path)}: should be YAML. Received: {error}.") from error
