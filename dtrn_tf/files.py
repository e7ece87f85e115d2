"""Files that are there whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any

from dtrn_tf.errors import UserError


@contextlib.contextmanager
def writing(directory: str) -> Iterator[None]:
    """Says clearly that a directory cannot be written into.

    Raises:
        UserError: The disk is full, read-only or forbidden.

    >>> with writing("/runs/1"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    dtrn_tf.errors.UserError: /runs/1: should be a directory that can be written and has room. \
Received: No space left on device. Remedy: make room, give the right to write, or choose another.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{directory}: should be a directory that can be written and has room. Received: "
            f"{error.strerror or error}. Remedy: make room, give the right to write, or choose "
            "another.") from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file; a reader never sees a part of it."""
    temporary = f"{os.fspath(path)}.tmp"
    with open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(temporary, path)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes JSON; NaN and infinities, which JSON does not know, become null."""
    write_text(path, json.dumps(_without_nan(value), indent=1, allow_nan=False) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
