"""Any tf.train.Examples to columns, without a schema."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# How the lists of an Example are called here; `none` is a feature that holds no list at all.
KINDS = {"int64_list": "int64", "float_list": "float32", "bytes_list": "string", None: "none"}
_DTYPES = {"int64": np.int64, "float32": np.float32, "string": object, "none": np.int64}
_TENSORS = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
# The first byte of a serialized tf.train.Feature tells which list follows.
_FIRST_BYTES = {b"\n": "string", b"\x12": "float32", b"\x1a": "int64"}


class Column(NamedTuple):
    """The values of one feature of one kind in a batch of N records.

    Args:
        rows: int64 [n], ascending: which records hold the feature with this kind.
        lengths: int64 [n], the number of values of each.
        values: [sum of lengths], int64, float32 or bytes objects.
    """

    rows: np.ndarray
    lengths: np.ndarray
    values: np.ndarray

    def first_row(self, is_found: np.ndarray) -> int:
        """The first record that holds a value where `is_found` [values] is true."""
        ends = np.cumsum(self.lengths)
        return int(self.rows[np.searchsorted(ends, np.argmax(is_found), side="right")])


Columns = dict[tuple[str, str], Column]


def read_columns(serialized: Sequence[bytes]) -> Columns:
    """Decodes a batch of Examples into one column per (feature, kind).

    Args:
        serialized: At least one record, each a tf.train.Example.

    Returns:
        By (name, kind), kind being `int64`, `float32`, `string`, or `none` for a feature that is
        present without a list. A name has two columns if its kind differs between records.

    Raises:
        tf.errors.DataLossError: A record is no tf.train.Example.

    >>> example = tf.train.Example()
    >>> example.features.feature["item"].int64_list.value.extend([7, 9])
    >>> columns = read_columns([b"", example.SerializeToString()])
    >>> columns["item", "int64"].rows.tolist(), columns["item", "int64"].values.tolist()
    ([1], [7, 9])
    """
    rows_of = _structure(serialized)
    kind_of = {name: kind for name, kind in rows_of if kind != "none"}
    if sum(kind != "none" for _, kind in rows_of) > len(kind_of):
        return read_columns_one_by_one(serialized)  # TensorFlow parses one type a name.
    parsed = tf.io.parse_example(tf.constant(serialized, tf.string), {
        name: tf.io.RaggedFeature(_TENSORS[kind], row_splits_dtype=tf.int64)
        for name, kind in kind_of.items()}) if kind_of else {}
    return {
        (name, kind): _empty_column(rows) if kind == "none" else Column(
            rows, np.diff(parsed[name].row_splits.numpy())[rows], parsed[name].values.numpy())
        for (name, kind), rows in rows_of.items()}


def read_columns_one_by_one(serialized: Sequence[bytes]) -> Columns:
    """The same in Python, a sixth as fast, for features whose kind differs between records."""
    found: dict[tuple[str, str], list[tuple[int, Any]]] = defaultdict(list)
    for row, record in enumerate(serialized):
        for name, feature in tf.train.Example.FromString(record).features.feature.items():
            kind = feature.WhichOneof("kind")
            found[name, KINDS[kind]].append((row, getattr(feature, kind).value if kind else ()))
    return {key: _column(key[1], lists) for key, lists in found.items()}


def is_example(record: bytes) -> bool:
    """Whether a record is a serialized tf.train.Example."""
    try:
        tf.train.Example.FromString(record)
    except Exception:  # protobuf's DecodeError, whose module differs by protobuf version
        return False
    return True


def _structure(serialized: Sequence[bytes]) -> dict[tuple[str, str], np.ndarray]:
    """Which records hold which feature with which kind: `parse_example` does not tell an absent
    feature from an empty one, nor what it was not asked for."""
    features, _ = _decode(serialized, "Example", "features")
    entries, num_entries = _decode(features[:, 0], "Features", "feature")
    rows = np.repeat(np.arange(len(serialized)), num_entries)
    if not len(rows):
        return {}
    is_entry = tf.sequence_mask(num_entries, entries.shape[1])
    _, (keys, values) = tf.io.decode_proto(
        tf.boolean_mask(entries, is_entry), "tensorflow.Features.FeatureEntry", ["key", "value"],
        [tf.string, tf.string])
    first_bytes = tf.strings.substr(values[:, 0], 0, 1)
    names, index = tf.unique(tf.strings.join([first_bytes, keys[:, 0]], separator="|"))
    return {_name_and_kind(name): rows[index.numpy() == i]
            for i, name in enumerate(names.numpy())}


def _decode(serialized: Any, message: str, field: str) -> tuple[tf.Tensor, np.ndarray]:
    """One field of protocol buffers: its values [N, most], and how many each has [N]."""
    sizes, (values,) = tf.io.decode_proto(
        tf.constant(serialized, tf.string), f"tensorflow.{message}", [field], [tf.string])
    if not values.shape[1]:
        values = tf.fill([len(serialized), 1], "")
    return values, sizes[:, 0].numpy()


def _name_and_kind(text: bytes) -> tuple[str, str]:
    first_byte, _, name = text.partition(b"|")
    return name.decode("utf-8", "replace"), _FIRST_BYTES.get(first_byte, "none")


def _empty_column(rows: np.ndarray) -> Column:
    return Column(rows, np.zeros_like(rows), np.zeros(0, np.int64))


def _column(kind: str, lists: list[tuple[int, Any]]) -> Column:
    values = [value for _, values in lists for value in values]
    flat = np.empty(len(values), _DTYPES[kind])
    flat[:] = values
    return Column(np.array([row for row, _ in lists], np.int64),
                  np.array([len(values) for _, values in lists], np.int64), flat)
