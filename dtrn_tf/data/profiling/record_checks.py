"""What training would make of records: which do not fit, unknown ids, labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.data.examples import check_examples, labels_and_weights, parse_examples
from dtrn_tf.data.profiling.columns import Column
from dtrn_tf.data.profiling.occurrences import Occurrences, add_to
from dtrn_tf.data.profiling.scan import Batch
from dtrn_tf.data.record_file import BadRecord
from dtrn_tf.errors import RecordError
from dtrn_tf.schema import OUT_OF_VOCABULARY_ID, REQUEST_INDEX, Schema


class RecordChecks:
    """Checks records with the reader's own codec and preprocessing; explains record by record
    only where these fail.

    Args:
        schema: What a record should hold.
        preprocessing: As training makes it of the schema and the vocabulary files.
    """

    def __init__(self, schema: Schema, preprocessing: Callable[..., dict[str, tf.Tensor]]) -> None:
        self.schema = schema
        # By (reason, feature); a record counts with its first problem.
        self.unfit: dict[tuple[str, str], Occurrences] = {}
        self.unknown: dict[str, Occurrences] = {}  # By field.
        self.not_finite: dict[str, Occurrences] = {}  # By feature of the records.
        self.too_long: dict[str, Occurrences] = {}  # By behaviour.
        self.num_ids = {f.name: 0 for f in schema.id_features}
        self.num_labels = {t.name: 0 for t in schema.tasks}
        self.label_sums = {t.name: 0.0 for t in schema.tasks}
        self._preprocessing = preprocessing
        self._read = tf.function(
            self._outcome, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def add(self, batch: Batch | BadRecord) -> None:
        """Checks what `scan_batches` yields; bad records are the profile's to count."""
        if isinstance(batch, BadRecord):
            return
        # TensorFlow takes an absent list for an empty one, so those are looked at one by one.
        rows = self._explain(batch, np.arange(len(batch.records)), self._lacks_feature(batch))
        outcome = self._try(batch, rows)
        if outcome is None:
            rows = self._explain(batch, rows, np.ones(len(batch.records), bool))
            outcome = self._try(batch, rows)
        if outcome is None:
            rows = self._parseable(batch, rows)
            outcome = self._try(batch, rows)
        if outcome:
            self._add_outcome(batch, rows, outcome)
        self._add_columns(batch)

    def _try(self, batch: Batch, rows: np.ndarray) -> dict[str, Any] | None:
        """What the codec makes of some records of the batch; None if it fails."""
        if not len(rows):
            return {}
        try:
            return self._read(tf.constant([batch.records[row] for row in rows], tf.string))
        except tf.errors.InvalidArgumentError:
            return None

    def _parseable(self, batch: Batch, rows: np.ndarray) -> np.ndarray:
        """The rows that TensorFlow parses, where the explanation knows no reason."""
        good = []
        for row in rows:
            if self._try(batch, np.array([row])) is None:
                self._count(self.unfit, ("invalid", ""), batch, row, 1,
                            f"{batch.file}, record {batch.numbers[row]}: should fit the schema. "
                            "Received: a record that TensorFlow cannot parse.")
            else:
                good.append(row)
        return np.array(good, np.int64)

    def _lacks_feature(self, batch: Batch) -> np.ndarray:
        lacks = np.zeros(len(batch.records), bool)
        for feature in self.schema.record_features:
            holds = np.zeros_like(lacks)
            for kind in (feature.dtype, "none"):
                if (feature.name, kind) in batch.columns:
                    holds[batch.columns[feature.name, kind].rows] = True
            lacks |= ~holds & (not feature.is_optional)
        return lacks

    def _explain(self, batch: Batch, rows: np.ndarray, suspect: np.ndarray) -> np.ndarray:
        """The rows without those that are suspect and do not fit."""
        good = []
        for row in rows:
            try:
                if suspect[row]:
                    check_examples(batch.records[row], self.schema,
                                   f"{batch.file}, record {batch.numbers[row]}")
                good.append(row)
            except RecordError as error:
                self._count(self.unfit, (error.reason, error.feature), batch, row, 1, str(error))
        return np.array(good, np.int64)

    def _outcome(self, serialized: tf.Tensor) -> dict[str, Any]:
        raw = parse_examples(serialized, self.schema)
        labels, weights = labels_and_weights(raw, self.schema)
        rows = self._preprocessing(raw)
        index = raw.get(REQUEST_INDEX)
        return {
            "labels": {name: [tf.reduce_sum(labels[name] * tf.cast(weight > 0, tf.float32)),
                              tf.reduce_sum(tf.cast(weight > 0, tf.float32))]
                       for name, weight in weights.items()},
            "ids": {f.name: _unknown(rows[f.name], index if getattr(f, "level", "") == "candidate"
                                     else None) for f in self.schema.id_features},
        }

    def _add_outcome(self, batch: Batch, fit: np.ndarray, outcome: dict[str, Any]) -> None:
        for name, (total, number) in outcome["labels"].items():
            self.label_sums[name] += float(total)
            self.num_labels[name] += int(number)
        for name, numbers in outcome["ids"].items():
            unknown, number, first = numbers.numpy().tolist()
            self.num_ids[name] += number
            if unknown:
                self._count(self.unknown, name, batch, fit[first], unknown, "")

    def _add_columns(self, batch: Batch) -> None:
        for feature in self.schema.record_features:
            column = batch.columns.get((feature.name, "float32"))
            if column and feature.dtype == "float32":
                is_bad = ~np.isfinite(column.values)
                if is_bad.any():
                    self._count(self.not_finite, feature.name, batch, column.first_row(is_bad),
                                int(is_bad.sum()), str(column.values[np.argmax(is_bad)]))
        for behavior in self.schema.behaviors:
            column = _any_column(batch, behavior.features[0].source)
            if not column:
                continue
            lengths = _lengths_without(column, behavior.padding)
            is_long = lengths > behavior.max_length
            if is_long.any():
                first = int(np.argmax(is_long))
                self._count(self.too_long, behavior.name, batch, column.rows[first],
                            int(is_long.sum()), str(lengths[first]))

    @staticmethod
    def _count(found: dict, key: Any, batch: Batch, row: int, count: int, example: str) -> None:
        add_to(found, key, Occurrences(count, batch.file, int(batch.numbers[row]), example))


def _unknown(rows: Any, request_index: tf.Tensor | None) -> tf.Tensor:
    """Number of unknown ids, number of ids, and the first record with an unknown one: int64 [3];
    `request_index` says to which record each row belongs, by default to the one of its number."""
    is_ragged = isinstance(rows, tf.RaggedTensor)
    flat = rows.values if is_ragged else rows
    is_unknown = tf.equal(flat, OUT_OF_VOCABULARY_ID)
    first = tf.argmax(tf.pad(is_unknown, [[0, 1]]), output_type=tf.int64)
    record = first
    if is_ragged:
        # The first row that ends after this value.
        record = tf.reduce_sum(tf.cast(rows.row_splits[1:] <= first, tf.int64))
    elif request_index is not None:
        record = tf.cast(tf.pad(request_index, [[0, 1]])[first], tf.int64)
    return tf.stack([tf.math.count_nonzero(is_unknown), tf.size(flat, tf.int64), record])


def _lengths_without(column: Column, padding: int | str | None) -> np.ndarray:
    """The lengths of lists without what only fills them up. [rows of the column]"""
    is_kept = column.values != (padding.encode() if isinstance(padding, str) else padding)
    kept_before = np.concatenate([[0], np.cumsum(is_kept)])
    ends = np.cumsum(column.lengths)
    return kept_before[ends] - kept_before[ends - column.lengths]


def _any_column(batch: Batch, name: str) -> Column | None:
    return batch.columns.get((name, "int64")) or batch.columns.get((name, "string"))
