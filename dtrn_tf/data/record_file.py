"""One TFRecord file, record by record, whatever its state."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

import google_crc32c

# A TFRecord: length (8 bytes, little endian), its checksum (4), the data, its checksum (4).
_LENGTH_BYTES = 8
_HEADER_BYTES = 12
_FOOTER_BYTES = 4
# Deflate makes nothing smaller than this, so a longer record does not fit a compressed file.
_MAX_COMPRESSION = 1032
_REMEDY = "Remedy: copy the file again, or write the shard again."


@dataclass(frozen=True, kw_only=True)
class BadRecord:
    """A record that cannot be read or does not fit, and why.

    Args:
        file: Where it is.
        number: Its place in the file, from 0.
        reason: A short name to count by. Of the framing: `unreadable`, `empty`, `not_tfrecord`
            and `cut` (these cost the rest of the file) and `checksum` (costs this record).
        message: File, record, what was expected, what came and the remedy.
    """

    file: str
    number: int
    reason: str
    message: str

    @property
    def ends_file(self) -> bool:
        """Whether nothing of the file can be read from here on."""
        return self.reason in ("unreadable", "empty", "not_tfrecord", "cut")


def scan_records(
    path: str | os.PathLike[str], *, headers_only: bool = False
) -> Iterator[tuple[int, bytes | BadRecord]]:
    """Reads a TFRecord file, plain or GZIP (`.gz`); whatever it holds, nothing is raised.

    Checksums are verified and a length is never believed beyond the size of the file.

    Args:
        path: The file.
        headers_only: Whether to look at lengths alone; the data then comes as b"" and its checksum
            is not verified.

    Yields:
        Record number and the record's bytes or what is wrong with it. Data of a wrong checksum
        cost one record. Where a file is cut, or a length is broken, the next record cannot be
        found: the last thing that comes is one `BadRecord` for the rest of the file.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "cut.tfrecord")
    >>> with open(path, "wb") as file:
    ...     _ = file.write(frame(b"first") + frame(b"second")[:-1])
    >>> [(number, getattr(record, "reason", record)) for number, record in scan_records(path)]
    [(0, b'first'), (1, 'cut')]
    """
    path = os.fspath(path)
    number = 0
    try:
        with open(path, "rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            is_gzip = path.endswith(".gz")
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if is_gzip else raw
            limit = size * _MAX_COMPRESSION if is_gzip else size
            for number, record in _walk(file, path, limit, headers_only):
                yield number, record
                number += 1  # Where an error of the stream would be.
    except (OSError, EOFError, zlib.error) as error:
        yield number, _broken_stream(path, number, error)


def frame(data: bytes) -> bytes:
    """A record as it stands in a file: length, data, and the checksum of each.

    >>> frame(b"a").hex()
    '01000000000000000175de4161786ee428'
    """
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """CRC32C, rotated and shifted by a constant as TFRecord has it."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _walk(
    file: IO[bytes], path: str, limit: int, headers_only: bool
) -> Iterator[tuple[int, bytes | BadRecord]]:
    number = start = 0
    while header := file.read(_HEADER_BYTES):
        problem, length = _parse_header(header, number)
        end = start + _HEADER_BYTES + length + _FOOTER_BYTES
        if problem or end > limit:
            yield number, _lost_rest(path, number, start, problem or "cut")
            return
        if headers_only:
            yield number, b"" if file.seek(end) == end else _lost_rest(path, number, start, "cut")
        else:
            body = file.read(length + _FOOTER_BYTES)
            if len(body) < length + _FOOTER_BYTES:
                yield number, _lost_rest(path, number, start, "cut")
                return
            data = body[:length]
            yield number, data if _checksum(data) == body[length:] else _damaged(path, number)
        number, start = number + 1, end
    if number == 0:
        yield 0, BadRecord(file=path, number=0, reason="empty", message=(
            f"{path}: should hold at least one record. Received: an empty file. "
            "Remedy: delete it, or write the shard again."))


def _parse_header(header: bytes, number: int) -> tuple[str, int]:
    """What is wrong with a header, if anything, and the length that it tells."""
    if len(header) < _HEADER_BYTES:
        return "cut", 0
    length = header[:_LENGTH_BYTES]
    if _checksum(length) != header[_LENGTH_BYTES:]:
        return "cut" if number else "not_tfrecord", 0
    return "", struct.unpack("<Q", length)[0]


def _lost_rest(path: str, number: int, start: int, reason: str) -> BadRecord:
    if reason == "not_tfrecord":
        text = (f"{path}, record 0: should begin with the length of a TFRecord and its checksum. "
                "Received: other bytes; the file is no TFRecord, is compressed without the ending "
                f".gz, or is damaged at its very beginning. {_REMEDY}")
    else:
        text = (f"{path}, record {number}: should be whole (it begins at byte {start}). Received: "
                "a file that ends inside it, or a broken length; nothing after it can be read. "
                f"{_REMEDY}")
    return BadRecord(file=path, number=number, reason=reason, message=text)


def _damaged(path: str, number: int) -> BadRecord:
    return BadRecord(file=path, number=number, reason="checksum", message=(
        f"{path}, record {number}: should have the data that its checksum was made of. "
        f"Received: damaged data or checksum. {_REMEDY}"))


def _broken_stream(path: str, number: int, error: Exception) -> BadRecord:
    """What an error of opening, reading or decompressing means."""
    if isinstance(error, gzip.BadGzipFile) and number == 0:
        reason, came = "not_tfrecord", f"{error} (only compressed files should end in .gz)"
    elif isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        reason, came = "unreadable", error.strerror or str(error)
    else:
        reason, came = "cut", f"{error}; nothing after it can be read"
    return BadRecord(file=path, number=number, reason=reason, message=(
        f"{path}, record {number}: should be readable. Received: {came}. {_REMEDY}"))
