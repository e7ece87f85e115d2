"""How many records there are, from the headers of the files alone."""

from __future__ import annotations

from collections.abc import Iterable

from dtrn_tf.data.bad_records import bad_record_error
from dtrn_tf.data.record_file import BadRecord, scan_records


def count_records(files: Iterable[str]) -> int:
    """Counts the records of TFRecord files, plain or GZIP (`.gz`); the data is not read.

    TensorFlow ends a file silently that is cut inside a header; here it is an error.

    Raises:
        DataError: A file is missing, empty, or does not end where its last record ends.
    """
    return sum(_count(path) for path in files)


def _count(path: str) -> int:
    count = 0
    for _, record in scan_records(path, headers_only=True):
        if isinstance(record, BadRecord):
            raise bad_record_error(record)
        count += 1
    return count
