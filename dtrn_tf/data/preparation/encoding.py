"""Columns of rows -> serialized tf.train.Example, column by column.

The same bytes as `examples.encode_example` gives row by row, without objects per row and value: the
map entry (name and values) of a feature is made once per distinct value, the values of lists are
encoded all at once, and a record is the join of its entries in the order of their names.

Reference: https://protobuf.dev/programming-guides/encoding, and `message Example` in
tensorflow/core/example/example.proto and feature.proto.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.rows import Column, Rows
from dtrn_tf.errors import DataError
from dtrn_tf.schema import Schema

# Records whose entries are held at a time.
_BLOCK = 1 << 13
# Tags of length-delimited fields 1 and 2; of `Feature`, the field with the list of a type.
_FIRST, _SECOND = b"\x0a", b"\x12"
_LIST_TAGS = {"string": b"\x0a", "float32": b"\x12", "int64": b"\x1a"}
_NUMPY_KINDS = {"string": "O", "float32": "f", "int64": "iub"}
# Gives, for some records, the pieces of one map entry: lists with a piece for every record.
_Encoder = Callable[[int, int], tuple[list[bytes], ...]]


def encode_rows(rows: Rows, schema: Schema) -> Iterator[bytes]:
    """Serializes rows in their order.

    Raises:
        DataError: A column is missing, unknown to the schema, or of another type.
    """
    dtypes = {feature.name: feature.dtype for feature in schema.record_features}
    if set(dtypes) != set(rows.columns):
        raise DataError(f"rows should have the columns {sorted(dtypes)}. Received: "
                        f"{sorted(rows.columns)}.")
    # As protobuf sorts maps: by the bytes of the keys, a key after longer ones that begin with it.
    names = sorted(rows.columns, key=lambda name: name.encode() + b"\xff")
    encoders = [_encoder(name, dtypes[name], rows.columns[name]) for name in names]
    for begin in range(0, len(rows), _BLOCK):
        pieces = [piece for encode in encoders for piece in encode(begin, begin + _BLOCK)]
        for parts in zip(*pieces):
            features = b"".join(parts)
            yield _FIRST + _varint(len(features)) + features


def _encoder(name: str, dtype: str, column: Column) -> _Encoder:
    values = column.values if isinstance(column, Ragged) else column
    if values.dtype.kind not in _NUMPY_KINDS[dtype]:
        raise DataError(f"column {name!r} of the records should be {dtype} in all parts of the "
                        f"log. Received: {values.dtype}. Write its table with one type per column.")
    if isinstance(column, Ragged):
        return _list_encoder(name, dtype, column)
    return _value_encoder(name, dtype, values)


def _value_encoder(name: str, dtype: str, values: np.ndarray) -> _Encoder:
    codes, distinct = pd.factorize(_bits(values))
    encoded = _slices(*_encoded_values(distinct, dtype))
    entries = _objects([_head(name, dtype, len(value)) + value for value in encoded])
    return lambda begin, end: (entries[codes[begin:end]].tolist(),)


def _list_encoder(name: str, dtype: str, column: Ragged) -> _Encoder:
    ends = np.cumsum(column.lengths)

    def encode(begin: int, end: int) -> tuple[list[bytes], ...]:
        ends_of_block = ends[begin:end]
        first = ends[begin - 1] if begin else 0
        sizes, data = _encoded_values(_bits(column.values[first:ends_of_block[-1]]), dtype)
        total = np.concatenate([[0], np.cumsum(sizes)])
        sizes_of_lists = np.diff(total[ends_of_block - first], prepend=0)
        distinct, codes = np.unique(sizes_of_lists, return_inverse=True)
        heads = _objects([_head(name, dtype, size) for size in distinct.tolist()])
        return heads[codes].tolist(), _slices(sizes_of_lists, data)

    return encode


def _bits(values: np.ndarray) -> np.ndarray:
    """Floats as integers of the same bits, so that one NaN equals another; the rest as it is."""
    return values.astype("<f4").view(np.uint32) if values.dtype.kind == "f" else values


def _head(name: str, dtype: str, size: int) -> bytes:
    """What comes before the encoded values, which have `size` bytes, in a map entry."""
    # Numbers are packed: one field of all values. Strings are a field each.
    field = b"" if dtype == "string" or not size else _FIRST + _varint(size)
    values = _LIST_TAGS[dtype] + _varint(len(field) + size) + field
    key = name.encode()
    entry = (_FIRST + _varint(len(key)) + key
             + _SECOND + _varint(len(values) + size) + values)
    return _FIRST + _varint(len(entry) + size) + entry


def _encoded_values(values: np.ndarray, dtype: str) -> tuple[np.ndarray, bytes]:
    """All values one after the other, and how many bytes each has."""
    if dtype == "int64":
        return _varints(values)
    if dtype == "float32":
        return np.full(len(values), 4), values.tobytes()
    known = {value: _string(value) for value in set(values.tolist())}
    encoded = [known[value] for value in values.tolist()]
    return np.fromiter(map(len, encoded), np.int64, len(encoded)), b"".join(encoded)


def _string(value: str | bytes) -> bytes:
    text = value.encode() if isinstance(value, str) else value
    return _FIRST + _varint(len(text)) + text


def _varints(values: np.ndarray) -> tuple[np.ndarray, bytes]:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    rest = values.astype(np.int64).view(np.uint64)
    sizes = np.ones(len(rest), np.int64)
    columns = []
    while True:
        columns.append((rest & np.uint64(127)).astype(np.uint8))
        rest = rest >> np.uint64(7)
        more = rest != 0
        if not more.any():
            break
        columns[-1] |= more.astype(np.uint8) << 7
        sizes += more
    matrix = np.stack(columns, axis=1)
    return sizes, matrix[np.arange(len(columns)) < sizes[:, None]].tobytes()


@functools.lru_cache(1 << 16)
def _varint(number: int) -> bytes:
    """
    >>> _varint(300).hex()
    'ac02'
    """
    if number < 128:
        return bytes((number,))
    return bytes((number & 127 | 128,)) + _varint(number >> 7)


def _slices(sizes: np.ndarray, data: bytes) -> list[bytes]:
    """Data cut into parts of these sizes."""
    ends = np.cumsum(sizes)
    return [data[begin:end] for begin, end in zip((ends - sizes).tolist(), ends.tolist())]


def _objects(values: list[bytes]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
