"""Records of a data directory, as they are."""

from __future__ import annotations

import sys

from dtrn_tf.data.bad_records import BadRecordLimit, bad_record_lines
from dtrn_tf.data.reader import list_shards
from dtrn_tf.data.record_check import RecordCheck
from dtrn_tf.data.record_file import BadRecord
from dtrn_tf.schema import Schema


def real_records(data_dir: str, schema: Schema, count: int, split: str = "test", *,
                 max_bad_records: int = 0) -> list[bytes]:
    """The first serialized records of a split that fit the schema, at most `count`.

    Args:
        data_dir: Written by `pipelines.prepare`.
        schema: What a record should hold.
        count: How many records are wanted; no more are read.
        split: The split.
        max_bad_records: The most bad records to pass over on the way; stderr names them.

    Raises:
        DataError: The split is not there, or there are more bad records than that.
    """
    limit = BadRecordLimit(max_bad_records)
    check = RecordCheck(schema)
    good: list[bytes] = []
    for path in list_shards(data_dir, split):
        for _, record in check.scan(path):
            if len(good) == count:
                return good
            if isinstance(record, BadRecord):
                limit.add(record)
                print(*bad_record_lines([record]), file=sys.stderr)
            else:
                good.append(record)
    return good
