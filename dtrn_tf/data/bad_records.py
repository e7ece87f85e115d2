"""How many bad records a run skips, and what it says about them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from dtrn_tf.data.record_file import BadRecord
from dtrn_tf.errors import DataError

_SHOWN = 3


class BadRecordLimit:
    """The bad records of a run, over all of its splits, and the most that there may be.

    Args:
        limit: The most bad records.

    >>> limit = BadRecordLimit(1)
    >>> for number in (7, 9):
    ...     limit.add(BadRecord(file="a.tfrecord", number=number, reason="checksum",
    ...                         message=f"a.tfrecord, record {number}: damaged."))
    Traceback (most recent call last):
    dtrn_tf.errors.DataError: there should be at most --max_bad_records=1 bad records. Received: \
at least 2 (a.tfrecord: 2 checksum). The first: a.tfrecord, record 7: damaged. | a.tfrecord, \
record 9: damaged. Or allow more with --max_bad_records.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._found: list[BadRecord] = []

    @property
    def allows_any(self) -> bool:
        """Whether bad records are left out at all."""
        return self._limit > 0

    @property
    def left(self) -> int:
        """How many more bad records there may be."""
        return self._limit - len(self._found)

    def add(self, record: BadRecord) -> None:
        """Counts a bad record.

        Raises:
            DataError: It is one too many; says how many of which kind each file holds, what is
                wrong with the first ones and how to mend it.
        """
        self._found.append(record)
        if len(self._found) <= self._limit:
            return
        if self._limit == 0:
            raise bad_record_error(record)
        counts = "; ".join(f"{file}: {reasons_text(reasons)}"
                           for file, reasons in count_bad_records(self._found).items())
        first = " | ".join(record.message for record in self._found[:_SHOWN])
        raise DataError(
            f"there should be at most --max_bad_records={self._limit} bad records. Received: at "
            f"least {len(self._found)} ({counts}). The first: {first} Or allow more with "
            "--max_bad_records.")


def bad_record_error(record: BadRecord) -> DataError:
    """The error that a bad record is where none are allowed."""
    return DataError(f"{record.message} Or leave bad records out with --max_bad_records.")


def count_bad_records(records: Iterable[BadRecord]) -> dict[str, dict[str, int]]:
    """Counts by file name, without its directory, and reason.

    >>> count_bad_records([BadRecord(file="train/a.tfrecord", number=number, reason="bad_label",
    ...                              message="") for number in (2, 3)])
    {'a.tfrecord': {'bad_label': 2}}
    """
    counts: dict[str, Counter[str]] = {}
    for record in records:
        counts.setdefault(os.path.basename(record.file), Counter())[record.reason] += 1
    return {file: dict(sorted(reasons.items())) for file, reasons in counts.items()}


def bad_record_lines(records: Iterable[BadRecord]) -> list[str]:
    """A line for every file: how many of its records are left out, and what is wrong with one.

    >>> bad_record_lines([BadRecord(file="train/a.tfrecord", number=7, reason="cut",
    ...                             message="train/a.tfrecord, record 7: should be whole.")])
    ['train/a.tfrecord: left out 1 cut, so all from record 7 on. First: train/a.tfrecord, \
record 7: should be whole.']
    """
    files: dict[str, list[BadRecord]] = {}
    for record in records:
        files.setdefault(record.file, []).append(record)
    lines = []
    for file, bad in files.items():
        reasons = reasons_text(count_bad_records(bad)[os.path.basename(file)])
        rest = f", so all from record {bad[-1].number} on" if bad[-1].ends_file else ""
        lines.append(f"{file}: left out {reasons}{rest}. First: {bad[0].message}")
    return lines


def reasons_text(reasons: dict[str, int]) -> str:
    """Counts by reason in words.

    >>> reasons_text({"bad_label": 2, "cut": 1})
    '2 bad_label, 1 cut'
    """
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items())
