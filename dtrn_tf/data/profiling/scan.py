"""Record files to batches of columns, whatever state the files are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dtrn_tf.data.profiling.columns import (
    Columns, is_example, read_columns, read_columns_one_by_one,
)
from dtrn_tf.data.record_file import BadRecord, scan_records

BATCH_SIZE = 2048


class Batch(NamedTuple):
    """Records of one file that are Examples.

    Args:
        file: Where they are.
        numbers: int64 [N], their places in the file, ascending.
        records: N serialized Examples.
        columns: What they hold, by (feature, kind); their `rows` index `numbers` and `records`.
    """

    file: str
    numbers: np.ndarray
    records: list[bytes]
    columns: Columns


def scan_batches(path: str, limit: int | None = None) -> Iterator[Batch | BadRecord]:
    """Reads a file, at most `limit` records of it, and raises nothing for whatever it holds.

    Args:
        path: A TFRecord file, plain or GZIP (`.gz`).
        limit: How many records to read, bad ones included; by default all.

    Yields:
        Batches of records that are Examples, and each record that is none or cannot be read.
    """
    numbers: list[int] = []
    records: list[bytes] = []
    for count, (number, record) in enumerate(scan_records(path)):
        if limit is not None and count == limit:
            break
        if isinstance(record, BadRecord):
            yield record
            continue
        numbers.append(number)
        records.append(record)
        if len(records) == BATCH_SIZE:
            yield from _batches(path, numbers, records)
            numbers, records = [], []
    if records:
        yield from _batches(path, numbers, records)


def share_limit(max_records: int, num_files: int) -> Iterator[int | None]:
    """How many records to read of each file so that a sample has some of every file.

    >>> list(share_limit(10, 3)), list(share_limit(1, 2)), list(share_limit(0, 2))
    ([4, 3, 3], [1, 0], [None, None])
    """
    left = max_records
    for files_left in range(num_files, 0, -1):
        limit = -(-left // files_left)
        left -= limit
        yield limit if max_records else None


def _batches(
    path: str, numbers: Sequence[int], records: list[bytes]
) -> Iterator[Batch | BadRecord]:
    try:
        yield Batch(path, np.array(numbers), records, read_columns(records))
        return
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
        pass  # Some record is no Example: all are read one by one, to tell which.
    good = []
    for row, (number, record) in enumerate(zip(numbers, records)):
        if is_example(record):
            good.append(row)
        else:
            yield not_example(path, number, record)
    if good:
        examples = [records[row] for row in good]
        yield Batch(path, np.array(numbers)[good], examples, read_columns_one_by_one(examples))


def not_example(path: str, number: int, record: bytes) -> BadRecord:
    """A record whose bytes are whole but no serialized tf.train.Example."""
    return BadRecord(file=path, number=number, reason="not_example", message=(
        f"{path}, record {number}: should be a serialized tf.train.Example. Received: "
        f"{record[:20]!r}... of {len(record)} bytes. Remedy: write the shard again."))
