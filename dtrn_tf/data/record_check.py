"""Which records of a file can be read and fit the schema, and what is wrong with the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import check_examples, labels_and_weights, parse_examples
from dtrn_tf.data.record_file import BadRecord, scan_records
from dtrn_tf.errors import RecordError
from dtrn_tf.schema import Schema

_BATCH = 1024
# As few records are looked at one by one, which takes ten times as long as parsing them at once.
_FEW = 32

Records = list[tuple[int, bytes | BadRecord]]


class RecordCheck:
    """Reads files as training does, and explains record by record only where that fails.

    Args:
        schema: What a record should hold.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._read = _reading(schema)

    def scan(self, path: str) -> Iterator[tuple[int, bytes | BadRecord]]:
        """As `scan_records`, but records that do not fit the schema are bad too.

        Args:
            path: A TFRecord file, plain or GZIP (`.gz`).

        Yields:
            Record number, and its bytes or what is wrong with it.
        """
        records = scan_records(path)
        while batch := list(islice(records, _BATCH)):
            yield from self._checked(path, batch)

    def _checked(self, path: str, batch: Records) -> Records:
        if self._fit(batch):
            return batch
        if len(batch) > _FEW:
            half = len(batch) // 2
            return self._checked(path, batch[:half]) + self._checked(path, batch[half:])
        return self._explained(path, batch)

    def _fit(self, batch: Records) -> bool:
        return self._error([record for _, record in batch if isinstance(record, bytes)]) is None

    def _error(self, records: list[bytes]) -> tf.errors.OpError | None:
        try:
            self._read(tf.constant(records, tf.string, [len(records)]))
        except tf.errors.InvalidArgumentError as error:
            return error
        return None

    def _explained(self, path: str, batch: Records) -> Records:
        checked: Records = [
            (number, check_record(record, self._schema, path, number)
             if isinstance(record, bytes) else record) for number, record in batch]
        if self._fit(checked):
            return checked
        # Whatever the rules above do not know, TensorFlow says about each record.
        return [(number, self._parsed(path, number, record)) for number, record in checked]

    def _parsed(self, path: str, number: int, record: bytes | BadRecord) -> bytes | BadRecord:
        error = self._error([record]) if isinstance(record, bytes) else None
        if error is None:
            return record
        return BadRecord(file=path, number=number, reason="invalid", message=(
            f"{path}, record {number}: should fit the schema. Received: {plain_message(error)}. "
            "Correct the schema, or prepare the records again."))


@lru_cache(maxsize=1)
def _reading(schema: Schema) -> Callable[[tf.Tensor], list[Any]]:
    """Parsing and label rules as one graph; tracing it takes as long as reading many records."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def read(serialized: tf.Tensor) -> list[Any]:
        raw = parse_examples(serialized, schema, group=schema.group is not None)
        # What is not returned is not computed.
        return tf.nest.flatten((raw, labels_and_weights(raw, schema)), expand_composites=True)

    return read


def check_record(record: bytes, schema: Schema, path: str, number: int) -> bytes | BadRecord:
    """The record itself, or what does not fit the schema."""
    try:
        check_examples(record, schema, f"{path}, record {number}")
    except RecordError as error:
        return BadRecord(file=path, number=number, reason=error.reason, message=str(error))
    return record


def plain_message(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the names of graph nodes."""
    assertion = re.search(r"assertion failed: \[(.*)\] \[(.*)\]", error.message)
    if assertion:
        return " ".join(assertion.groups()).replace("\\'", "'")
    return re.sub(r"\{\{.*?\}\} *| \[Op:.*", "", error.message).split("\n")[0]
