"""Vocabulary files: one id per line, line n (from 0) belongs to row n + 2 of the table."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence

from dtrn_tf.errors import DataError
from dtrn_tf.files import write_text

_INT64 = range(-(2**63), 2**63)


def write_vocabulary(path: str | os.PathLike[str], ids: Iterable[int | str | bytes]) -> None:
    """Writes ids, one a line; makes the directory if needed.

    Args:
        path: Where to write.
        ids: Integers, or UTF-8 strings without line breaks; the order gives the table rows.

    Raises:
        DataError: No ids, an id twice, an empty string, a line break inside a string, or bytes
            that are no UTF-8.
    """
    path = os.fspath(path)
    lines = [_line(i, path) for i in ids]
    _check_lines(lines, path)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_vocabulary(path: str | os.PathLike[str], dtype: str) -> list[int] | list[str]:
    """Reads the ids of a vocabulary file in the order of their table rows.

    Args:
        path: A file written by `write_vocabulary`, or by hand.
        dtype: `int64` or `string`, the type of the ids.

    Raises:
        DataError: The file is missing, empty, no UTF-8, or a line is empty, there twice, or no
            integer where integers are expected; the message names file and line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_vocabulary(f"{directory}/item.txt", [7, 5, 11])
    ...     read_vocabulary(f"{directory}/item.txt", "int64")
    [7, 5, 11]
    """
    path = os.fspath(path)
    try:
        # Only "\n" ends a line: an id may hold other characters that end lines elsewhere.
        with open(path, encoding="utf-8", newline="\n") as file:
            text = file.read()
    except OSError as error:
        raise DataError(f"{path}: should be a readable vocabulary file. Received: "
                        f"{error.strerror}. Run prepare again, or mend `file` in the schema."
                        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: should be UTF-8 text, one id a line. Received: {error}."
                        ) from error
    lines = text.removesuffix("\n").split("\n") if text else []
    _check_lines(lines, path)
    return _integers(lines, path) if dtype == "int64" else lines


def _line(value: int | str | bytes, path: str) -> str:
    try:
        line = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: an id should be UTF-8. Received: {value!r}. Use hash buckets "
                        "for ids that are no text.") from error
    if "\n" in line:
        raise DataError(f"{path}: an id should hold no line break, as a vocabulary has one id a "
                        f"line. Received: {line!r}.")
    return line


def _check_lines(lines: Sequence[str], path: str) -> None:
    if not lines:
        raise DataError(f"{path}: a vocabulary should hold at least one id. Received: none.")
    if "" in lines:
        raise DataError(f"{path}:{lines.index('') + 1}: a line of a vocabulary should hold an id. "
                        "Received: an empty line.")
    _check_unique(lines, path)


def _check_unique(ids: Sequence[Hashable], path: str) -> None:
    if len(set(ids)) == len(ids):
        return
    first_line: dict[Hashable, int] = {}
    for number, value in enumerate(ids, start=1):
        if value in first_line:
            raise DataError(f"{path}:{number}: every id should stand on one line only. "
                            f"Received again: {value!r}, first on line {first_line[value]}.")
        first_line[value] = number


def _integers(lines: Sequence[str], path: str) -> list[int]:
    return [_integer(line, number, path) for number, line in enumerate(lines, start=1)]


def _integer(line: str, number: int, path: str) -> int:
    try:
        value = int(line)
    except ValueError:
        value = None
    # `int` takes " 7", "1_0" and "07" too; as ids they would be somebody's typing mistake.
    if value is None or value not in _INT64 or str(value) != line:
        raise DataError(f"{path}:{number}: an id of a vocabulary with dtype 'int64' should be a "
                        f"64-bit integer. Received: {line!r}.")
    return value
