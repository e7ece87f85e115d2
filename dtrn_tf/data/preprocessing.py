"""Raw features to model inputs: table rows, normalised numbers, sequences cut to the newest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import Tensors
from dtrn_tf.data.statistics import Moments, Statistics, load_statistics
from dtrn_tf.data.vocabulary import read_vocabulary
from dtrn_tf.errors import DataError
from dtrn_tf.schema import (
    NUM_RESERVED_IDS,
    OUT_OF_VOCABULARY_ID,
    REQUEST_INDEX,
    BehaviorSequence,
    NumericFeature,
    Schema,
    Vocabulary,
)


class Preprocessing(tf.Module):
    """Maps raw features to model inputs; the same graph in training and in the SavedModel.

    ids become rows of their vocabulary's embedding table (row 1 if unknown, never row 0, which is
    padding). Numbers become (transform(x) - mean) / std, and 0 where that is not finite. Sequences
    keep their newest `max_length` positions.

    Args:
        schema: What a record holds.
        directory: Holds the vocabulary files and `statistics.json`.

    Inputs:
        Raw tensors by feature: ids and numbers [B], sequences as RaggedTensor [B, (L)], the
        sequences of one behaviour aligned.

    Outputs:
        The same keys: rows int32 [B], numbers float32 [B], rows of sequences as int32 RaggedTensor
        [B, (<= max_length)]; group key and request index untouched if they are there. Labels are
        left out.

    Raises:
        DataError: A vocabulary file or the statistics are missing or do not fit the schema.

    >>> import tempfile
    >>> from dtrn_tf import schema as s
    >>> schema = s.Schema(
    ...     vocabularies=(s.Vocabulary(name="tab", kind="identity", size=15),),
    ...     features=(s.CategoricalFeature(name="tab", vocabulary="tab", level="request"),),
    ...     tasks=(s.Task(name="click", label="is_click"),))
    >>> preprocessing = Preprocessing(schema, tempfile.gettempdir())
    >>> preprocessing({"tab": tf.constant([0, 14, 15, -1], tf.int64)})["tab"].numpy().tolist()
    [2, 16, 1, 1]
    """

    def __init__(self, schema: Schema, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        self._schema = schema
        # Attributes of a tf.Module are tracked: tf.saved_model.save finds the tables here.
        self._tables = {
            v.name: _table(v, os.path.join(directory, str(v.file)))
            for v in schema.vocabularies if v.kind == "file"
        }
        self._moments = _moments(schema, os.path.join(directory, "statistics.json"))

    def __call__(self, raw: Mapping[str, Any]) -> Tensors:
        inputs = {
            categorical.name: self._rows(raw[categorical.name], categorical.vocabulary)  # [B]
            for categorical in self._schema.categorical_features
        }
        for numeric in self._schema.numeric_features:
            inputs[numeric.name] = self._normalized(raw[numeric.name], numeric)  # [B]
        for behavior in self._schema.behaviors:
            for feature, newest in zip(behavior.features, _newest(behavior, raw)):
                inputs[feature.name] = newest.with_values(
                    self._rows(newest.values, feature.vocabulary))  # [B, (L)]
        group = self._schema.group
        untouched = [REQUEST_INDEX, *([group.name] if group else [])]
        inputs.update((name, raw[name]) for name in untouched if name in raw)
        return inputs

    def _rows(self, ids: tf.Tensor, vocabulary_name: str) -> tf.Tensor:
        vocabulary = self._schema.vocabulary(vocabulary_name)
        if vocabulary.kind == "file":
            return self._tables[vocabulary_name].lookup(ids)
        if vocabulary.kind == "hash":
            text = ids if vocabulary.dtype == "string" else tf.strings.as_string(ids)
            rows = tf.strings.to_hash_bucket_fast(text, vocabulary.size) + NUM_RESERVED_IDS
        else:
            known = (ids >= 0) & (ids < vocabulary.size)
            rows = tf.where(known, ids + NUM_RESERVED_IDS,
                            tf.constant(OUT_OF_VOCABULARY_ID, tf.int64))
        return tf.cast(rows, tf.int32)

    def _normalized(self, x: tf.Tensor, feature: NumericFeature) -> tf.Tensor:
        if feature.transform == "log1p":
            x = tf.sign(x) * tf.math.log1p(tf.abs(x))
        mean, std = self._moments[feature.name]
        # A feature that never varied has std 0 and tells nothing, except that it differs now.
        x = (x - mean) / (std or 1.0)
        return tf.where(tf.math.is_finite(x), x, tf.zeros_like(x))


def raw_from_dense(inputs: Mapping[str, Any], schema: Schema) -> Tensors:
    """Turns the dense serving form into the raw form that `Preprocessing` takes.

    Args:
        inputs: Features as in a record, but sequences padded at the end: [B, L], newest last, with
            the number of valid positions beside them as `<behaviour>_length` [B].
        schema: What a record holds.

    Returns:
        Raw tensors by feature, sequences as RaggedTensor [B, (L)].
    """
    raw = {f.name: inputs[f.name] for f in schema.features}
    for behavior in schema.behaviors:
        lengths = tf.cast(inputs[behavior.length_name], tf.int64)  # [B]
        for feature in behavior.features:
            raw[feature.name] = tf.RaggedTensor.from_tensor(inputs[feature.name], lengths=lengths)
    return raw


def _newest(behavior: BehaviorSequence, raw: Mapping[str, Any]) -> list[tf.RaggedTensor]:
    """Cuts aligned sequences; the positions to keep are found once for all of them."""
    sequences = [raw[feature.name] for feature in behavior.features]
    starts, ends = sequences[0].row_splits[:-1], sequences[0].row_splits[1:]

    def cut() -> list[tf.Tensor]:
        newest = tf.ragged.range(tf.maximum(starts, ends - behavior.max_length), ends)
        return [newest.row_splits, *(tf.gather(s.values, newest.values) for s in sequences)]

    def whole() -> list[tf.Tensor]:
        return [sequences[0].row_splits, *(s.values for s in sequences)]

    # Copying the positions to keep costs 5 % of the input, and prepare has cut its records already.
    splits, *values = tf.cond(tf.reduce_any(ends - starts > behavior.max_length), cut, whole)
    first = tf.RaggedTensor.from_row_splits(values[0], splits, validate=False)
    return [first, *(first.with_values(side) for side in values[1:])]


def _table(vocabulary: Vocabulary, path: str) -> tf.lookup.StaticHashTable:
    ids = read_vocabulary(path, vocabulary.dtype)
    if len(ids) != vocabulary.size:
        raise DataError(f"{path}: should hold as many ids as `size` of vocabulary "
                        f"{vocabulary.name!r}: {vocabulary.size}. Received: {len(ids)}. "
                        "Correct the schema, or prepare the records again.")
    keys = tf.constant(ids, tf.as_dtype(vocabulary.dtype))
    rows = tf.range(NUM_RESERVED_IDS, NUM_RESERVED_IDS + len(ids), dtype=tf.int32)
    return tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, rows), OUT_OF_VOCABULARY_ID)


def _moments(schema: Schema, path: str) -> dict[str, Moments]:
    statistics = load_statistics(path) if schema.numeric_features else Statistics()
    names = [feature.name for feature in schema.numeric_features]
    missing = sorted(set(names) - set(statistics.numeric))
    if missing:
        raise DataError(f"{path}: should hold mean and std of every numeric feature. "
                        f"Missing: {missing}. Prepare the records again.")
    return {name: statistics.numeric[name] for name in names}
