"""Raw features to model inputs: table rows, normalised numbers, sequences cut to the newest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
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
    CategoricalFeature,
    NumericFeature,
    Schema,
    Vocabulary,
)

# In standard deviations. What several layers make of it stays finite in float32.
_LARGEST = 1e6


class Preprocessing(tf.Module):
    """Maps raw features to model inputs; the same graph in training and in the SavedModel.

    ids become rows of their vocabulary's embedding table (row 1 if unknown, never row 0, which is
    padding). Numbers become (transform(x) - mean) / std, at most 1e6 either way, and 0 where that
    is not finite: whatever a log or a client holds, no NaN comes of it. Sequences keep their
    newest `max_length` positions, the newest last, without what only fills them up; their times
    become gaps. Weights of ids are bounded like numbers.

    Args:
        schema: What a record holds.
        directory: Holds the vocabulary files and `statistics.json`.

    Inputs:
        Raw tensors as `parse_examples` or `raw_from_dense` gives them.

    Outputs:
        The same keys: rows int32 [B], numbers float32 [B] or [B, N], rows of sequences and of
        lists of ids as int32 RaggedTensors [B, (<= max_length)] and [B, (V)], the weights of ids
        as float32 RaggedTensor; group key and request index untouched if they are there. Labels
        and the request time are left out.

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
        inputs: Tensors = {}
        for categorical in self._schema.categorical_features:
            if categorical.multiple:
                inputs.update(self._lists(categorical, raw))  # [B, (V)]
            else:
                inputs[categorical.name] = self._rows(
                    raw[categorical.name], categorical.vocabulary)  # [B]
        for numeric in self._schema.numeric_features:
            inputs[numeric.name] = self._normalized(raw[numeric.name], numeric)  # [B] or [B, N]
        for behavior in self._schema.behaviors:
            for feature, newest in zip(behavior.features, _newest(behavior, raw)):
                ids = self._gaps(newest, raw) if feature.gap else newest.values
                inputs[feature.name] = newest.with_values(
                    self._rows(ids, feature.vocabulary))  # [B, (L)]
        group = self._schema.group
        untouched = [REQUEST_INDEX, *([group.name] if group else [])]
        inputs.update((name, raw[name]) for name in untouched if name in raw)
        return inputs

    def _rows(self, ids: tf.Tensor, vocabulary_name: str) -> tf.Tensor:
        vocabulary = self._schema.vocabulary(vocabulary_name)
        if vocabulary.kind == "file":
            return self._tables[vocabulary_name].lookup(ids)
        if vocabulary.kind == "log_bucket":
            return _log_bucket_rows(ids, vocabulary)
        if vocabulary.kind == "hash":
            text = ids if vocabulary.dtype == "string" else tf.strings.as_string(ids)
            rows = tf.strings.to_hash_bucket_fast(text, vocabulary.size) + NUM_RESERVED_IDS
        else:
            known = (ids >= 0) & (ids < vocabulary.size)
            rows = tf.where(known, ids + NUM_RESERVED_IDS,
                            tf.constant(OUT_OF_VOCABULARY_ID, tf.int64))
        return tf.cast(rows, tf.int32)

    def _lists(self, feature: CategoricalFeature, raw: Mapping[str, Any]) -> Tensors:
        names = [feature.name, *([feature.weights_name] if feature.weights else [])]
        ids, *weights = _without_padding([raw[name] for name in names], feature.padding)
        lists = {feature.name: ids.with_values(self._rows(ids.values, feature.vocabulary))}
        lists.update((feature.weights_name, w.with_values(_finite(w.values))) for w in weights)
        return lists

    def _gaps(self, times: tf.RaggedTensor, raw: Mapping[str, Any]) -> tf.Tensor:
        assert self._schema.time is not None  # The schema has checked it.
        return tf.gather(raw[self._schema.time.name], times.value_rowids()) - times.values

    def _normalized(self, x: tf.Tensor, feature: NumericFeature) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        if feature.transform == "log1p":
            x = tf.sign(x) * tf.math.log1p(tf.abs(x))
        mean, std = self._moments[feature.name]
        return _finite((x - mean) / std)


def raw_from_dense(inputs: Mapping[str, Any], schema: Schema) -> Tensors:
    """Turns the dense serving form into the raw form that `Preprocessing` takes.

    Args:
        inputs: Under their names of the schema, values as in a record, but sequences and lists of
            ids padded at the end, [B, L], with the number of valid positions beside them as
            `<behaviour>_length` or `<feature>_length` [B], between 0 and L.
        schema: What a record holds.

    Returns:
        Raw tensors by feature, sequences and lists as RaggedTensor [B, (L)].
    """
    names = [f.name for f in schema.features] + ([schema.time.name] if schema.time else [])
    raw = {name: inputs[name] for name in names}
    for length_name, lists in padded_inputs(schema).items():
        raw.update(zip(lists, _unpadded([inputs[name] for name in lists], inputs[length_name])))
    return raw


def padded_inputs(schema: Schema) -> dict[str, tuple[str, ...]]:
    """Of the dense serving form, the inputs [B, L] of every input with their valid length [B]."""
    lists = {b.length_name: tuple(f.name for f in b.features) for b in schema.behaviors}
    for f in schema.multiple_features:
        lists[f.length_name] = (f.name, f.weights_name) if f.weights else (f.name,)
    return lists


def _unpadded(padded: list[tf.Tensor], lengths: tf.Tensor) -> list[tf.RaggedTensor]:
    """Aligned lists without what stands behind them. [B, L] -> [B, (L)] each"""
    mask = tf.sequence_mask(lengths, tf.shape(padded[0])[1])
    valid = tf.where(tf.reshape(mask, [-1]))[:, 0]
    splits = tf.pad(tf.cumsum(tf.cast(lengths, tf.int64)), [[1, 0]])
    return _ragged([tf.gather(tf.reshape(x, [-1]), valid) for x in padded], splits)


def _newest(behavior: BehaviorSequence, raw: Mapping[str, Any]) -> list[tf.RaggedTensor]:
    """Cuts aligned sequences; the positions to keep are found once for all of them."""
    sequences = _without_padding([raw[feature.name] for feature in behavior.features],
                                 behavior.padding)
    starts, ends = sequences[0].row_splits[:-1], sequences[0].row_splits[1:]

    def keep(positions: tf.RaggedTensor) -> list[tf.Tensor]:
        return [positions.row_splits, *(tf.gather(s.values, positions.values) for s in sequences)]

    def cut() -> list[tf.Tensor]:
        return keep(tf.ragged.range(tf.maximum(starts, ends - behavior.max_length), ends))

    def whole() -> list[tf.Tensor]:
        return [sequences[0].row_splits, *(s.values for s in sequences)]

    if behavior.order == "newest_first":
        newest = tf.minimum(ends, starts + behavior.max_length)
        splits, *values = keep(tf.ragged.range(newest - 1, starts - 1, -1))
    else:
        # Copying the positions to keep costs 5 % of the input, and prepare has cut its records.
        splits, *values = tf.cond(tf.reduce_any(ends - starts > behavior.max_length), cut, whole)
    return _ragged(values, splits)


def _without_padding(lists: list[tf.RaggedTensor], padding: Any) -> list[tf.RaggedTensor]:
    """Aligned lists without the positions whose first one holds the padding."""
    if padding is None:
        return lists
    kept = tf.where(tf.not_equal(lists[0].values, padding))[:, 0]
    splits = tf.searchsorted(kept, lists[0].row_splits, out_type=tf.int64)
    return _ragged([tf.gather(x.values, kept) for x in lists], splits)


def _ragged(values: list[tf.Tensor], splits: tf.Tensor) -> list[tf.RaggedTensor]:
    first = tf.RaggedTensor.from_row_splits(values[0], splits, validate=False)
    return [first, *(first.with_values(side) for side in values[1:])]


def _log_bucket_rows(x: tf.Tensor, vocabulary: Vocabulary) -> tf.Tensor:
    """The rule of `Vocabulary`, without logarithms: they round, bounds do not."""
    bounds = [2.0 ** (bucket / vocabulary.resolution) - 1.0 for bucket in range(vocabulary.size)]
    x = tf.cast(x, tf.float64)
    # Below the first bound, 0, lies what is out of vocabulary.
    rows = tf.searchsorted(tf.constant(bounds, tf.float64), x, side="right") + OUT_OF_VOCABULARY_ID
    return tf.where(tf.math.is_finite(x), rows, OUT_OF_VOCABULARY_ID)


def _finite(x: tf.Tensor) -> tf.Tensor:
    bounded = tf.clip_by_value(x, -_LARGEST, _LARGEST)
    return tf.where(tf.math.is_finite(x), bounded, tf.zeros_like(x))


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


def _moments(schema: Schema, path: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    statistics = load_statistics(path) if schema.numeric_features else Statistics()
    names = [feature.name for feature in schema.numeric_features]
    missing = sorted(set(names) - set(statistics.numeric))
    if missing:
        raise DataError(f"{path}: should hold mean and std of every numeric feature. "
                        f"Missing: {missing}. Prepare the records again.")
    return {f.name: _mean_and_std(statistics.numeric[f.name], f, path)
            for f in schema.numeric_features}


def _mean_and_std(
    moments: Moments, feature: NumericFeature, path: str
) -> tuple[np.ndarray, np.ndarray]:
    mean, std = (np.asarray(part, np.float32) for part in moments)
    shape = (feature.size,) if feature.size > 1 else ()
    if not mean.shape == std.shape == shape:
        raise DataError(f"{path}: mean and std of feature {feature.name!r} should have `size` "
                        f"numbers each: {feature.size}. Received: {mean.size} and {std.size}. "
                        "Correct the schema, or count the statistics again.")
    # A number that never varied has std 0 and tells nothing, except that it differs now.
    return mean, np.where(std > 0.0, std, np.float32(1.0))
