"""How many records there are, from the headers of the files alone."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Iterable
from typing import IO, cast

from dtrn_tf.errors import DataError

# A TFRecord: length (8 bytes, little endian), its checksum (4), the data, its checksum (4).
_HEADER_BYTES = 12
_FOOTER_BYTES = 4


def count_records(files: Iterable[str]) -> int:
    """Counts the records of TFRecord files, plain or GZIP (`.gz`); the data is not read.

    TensorFlow ends a file silently that is cut inside a header; here it is an error.

    Raises:
        DataError: A file is missing, empty, or does not end where its last record ends.
    """
    return sum(_count(path) for path in files)


def _count(path: str) -> int:
    try:
        if path.endswith(".gz"):
            with gzip.open(path, "rb") as file:
                return _walk(cast(IO[bytes], file), path, None)
        with open(path, "rb") as file:
            return _walk(file, path, os.path.getsize(path))
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: should be a readable TFRecord file. Received: {error}. "
                        "Remedy: write the shard again.") from error


def _walk(file: IO[bytes], path: str, size: int | None) -> int:
    """`size` bounds what a broken length may ask for; unknown for GZIP."""
    count = end = 0
    while header := file.read(_HEADER_BYTES):
        start = end
        if len(header) == _HEADER_BYTES:
            end += _HEADER_BYTES + struct.unpack_from("<Q", header)[0] + _FOOTER_BYTES
        if len(header) < _HEADER_BYTES or (size is not None and end > size):
            raise _cut(path, count, start)
        if size is None:
            rest = end - start - _HEADER_BYTES
            if len(file.read(rest)) < rest:
                raise _cut(path, count, start)
        else:
            file.seek(end)
        count += 1
    if count == 0:
        raise DataError(f"{path}: should hold at least one record. Received: an empty file. "
                        "Remedy: delete it or write the shard again.")
    return count


def _cut(path: str, record: int, byte: int) -> DataError:
    return DataError(f"{path}: record {record} (at byte {byte}) should be whole. Received: a file "
                     "that ends inside it, or a broken length. Remedy: write the shard again.")
