"""The files of a split after a check: how many records there are, and which of them are good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dtrn_tf.data.bad_records import BadRecordLimit, bad_record_error
from dtrn_tf.data.record_check import RecordCheck, check_record
from dtrn_tf.data.record_count import count_records
from dtrn_tf.data.record_file import BadRecord, scan_records
from dtrn_tf.data.runs import Runs, first_unreadable
from dtrn_tf.errors import DataError
from dtrn_tf.schema import Schema


@dataclass(frozen=True, kw_only=True)
class Shards:
    """The files of a split and what can be read of them.

    Args:
        files: The files.
        num_records: How many good records they hold.
        bad_records: The other ones, in order.
        runs: The good records of each file; empty if all are good.
    """

    files: Sequence[str]
    num_records: int
    bad_records: Sequence[BadRecord] = ()
    runs: Mapping[str, Runs] = field(default_factory=dict)


def check_shards(
    files: Sequence[str], schema: Schema, limit: BadRecordLimit | None = None
) -> Shards:
    """Checks files before they are read.

    Without a limit, or with a limit of 0, that every file can be read to its end, by the lengths
    of its records, and that its first record fits; that takes next to no time, and a bad record
    further on stops the reader. With a limit, every record, so that the bad ones can be left out.

    Args:
        files: The files of a split.
        schema: What a record holds.
        limit: Counts bad records and says when there are too many.

    Raises:
        DataError: There are more bad records than the limit, or no good ones; the message names
            file, record and feature.
    """
    if limit is None or not limit.allows_any:
        for path in files:
            _check_first(path, schema)
        return Shards(files=files, num_records=count_records(files))
    check = RecordCheck(schema)
    bad, runs = [], {}
    for path in files:
        runs[path], found = _good_and_bad(check, path, limit)
        bad += found
    num_records = sum(count for of_file in runs.values() for _, count in of_file)
    if num_records == 0:
        raise DataError(f"files should hold at least one good record. Received: none in "
                        f"{list(files)}. {bad[0].message}")
    return Shards(files=files, num_records=num_records, bad_records=bad, runs=runs if bad else {})


def _check_first(path: str, schema: Schema) -> None:
    _, record = next(scan_records(path))
    if isinstance(record, bytes):
        record = check_record(record, schema, path, 0)
    if isinstance(record, BadRecord):
        raise bad_record_error(record)


def _good_and_bad(
    check: RecordCheck, path: str, limit: BadRecordLimit
) -> tuple[list[tuple[int, int]], list[BadRecord]]:
    runs: list[tuple[int, int]] = []
    bad: list[BadRecord] = []
    for number, record in check.scan(path):
        if isinstance(record, BadRecord):
            bad.append(record)
            # Of a broken GZIP stream all that follows may look bad, and counts as one.
            if len(bad) > limit.left and not path.endswith(".gz"):
                break
        elif runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    unread = first_unreadable(path, runs) if path.endswith(".gz") else None
    if unread:
        end = unread.number
        runs = [(first, min(count, end - first)) for first, count in runs if first < end]
        bad = [record for record in bad if record.number < end] + [unread]
    for record in bad:
        limit.add(record)
    return runs, bad
