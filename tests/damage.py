"""Every kind of damage a record file can have, made from a good one."""

from __future__ import annotations

import gzip
import os
import pathlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from helpers import small_row, small_schema, write_records

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.record_file import frame

SCHEMA = small_schema()
ROWS_OF_DAMAGED = 7
_SPOILT = 4  # The record that most kinds spoil.


@dataclass(frozen=True)
class Damage:
    """How to spoil the bytes of a file of `ROWS_OF_DAMAGED` records, and what should be found."""

    spoil: Callable[[list[bytes]], bytes]
    reason: str
    text: str  # What the message says.
    bad: int = _SPOILT
    good: tuple[int, ...] = (0, 1, 2, 3, 5, 6)
    suffix: str = ""


def write_rows(path: Any, *changes: dict[str, Any], schema: Any = SCHEMA) -> str:
    """Writes `small_row`s 0, 1 ... with changes."""
    return write_records(path, [encode_example(small_row(n, **c), schema)
                                for n, c in enumerate(changes)])


def write_damaged(directory: Any, name: str, damage: Damage, first: int = 0) -> str:
    """Writes `small_row`s from `first` on, spoilt, as directory/name.tfrecord."""
    records = [encode_example(small_row(n), SCHEMA)
               for n in range(first, first + ROWS_OF_DAMAGED)]
    os.makedirs(directory, exist_ok=True)
    path = pathlib.Path(directory, f"{name}.tfrecord{damage.suffix}")
    path.write_bytes(damage.spoil(records))
    return str(path)


def _whole(records: list[bytes]) -> bytes:
    return b"".join(map(frame, records))


def _cut_at(record: int, byte: int) -> Callable[[list[bytes]], bytes]:
    return lambda records: _whole(records[:record]) + frame(records[record])[:byte]


def _flip(byte: int) -> Callable[[list[bytes]], bytes]:
    """Flips a bit of the spoilt record, framed."""
    def spoil(records: list[bytes]) -> bytes:
        framed = bytearray(frame(records[_SPOILT]))
        framed[byte] ^= 8
        return _whole(records[:_SPOILT]) + bytes(framed) + _whole(records[_SPOILT + 1:])
    return spoil


def _replace(change: Callable[[bytes], bytes]) -> Callable[[list[bytes]], bytes]:
    """Another record, in a sound frame."""
    return lambda records: _whole([*records[:_SPOILT], change(records[_SPOILT]),
                                   *records[_SPOILT + 1:]])


def _edit(name: str, **lists: list[Any]) -> Callable[[list[bytes]], bytes]:
    """Another list of values for one feature; none: without the feature."""
    def change(record: bytes) -> bytes:
        example = tf.train.Example.FromString(record)
        del example.features.feature[name]
        for kind, values in lists.items():
            getattr(example.features.feature[name], kind).value.extend(values)
        return example.SerializeToString()
    return _replace(change)


def _huge_length(records: list[bytes]) -> bytes:
    """A length of 2^36 with a sound checksum, which crashes TensorFlow."""
    length = struct.pack("<Q", 2 ** 36)
    checksum = frame(length)[-4:]  # That of these 8 bytes as data.
    return _whole(records[:_SPOILT]) + length + checksum + _whole(records[_SPOILT:])


_TAIL: dict[str, Any] = {"good": (0, 1, 2, 3)}
_NOTHING: dict[str, Any] = {"bad": 0, "good": ()}
DAMAGES = {
    "cut in the data": Damage(_cut_at(_SPOILT, 40), "cut", "a file that ends inside it", **_TAIL),
    "cut in a header": Damage(_cut_at(_SPOILT, 9), "cut", "a file that ends inside it", **_TAIL),
    "flipped length": Damage(_flip(1), "cut", "or a broken length", **_TAIL),
    "flipped checksum of length": Damage(_flip(10), "cut", "or a broken length", **_TAIL),
    "huge length": Damage(_huge_length, "cut", "or a broken length", **_TAIL),
    "flipped data": Damage(_flip(60), "checksum", "Received: damaged data or checksum"),
    "flipped checksum": Damage(_flip(-1), "checksum", "Received: damaged data or checksum"),
    "cut gzip": Damage(
        lambda records: gzip.compress(_whole(records), mtime=0)[:-60], "cut",
        "Compressed file ended before", suffix=".gz", bad=5, good=(0, 1, 2, 3, 4)),
    "cut end of gzip": Damage(
        lambda records: gzip.compress(_whole(records), mtime=0)[:-3], "cut",
        "Compressed file ended before", suffix=".gz", bad=7, good=(0, 1, 2, 3, 4, 5, 6)),
    "no gzip": Damage(_whole, "not_tfrecord", "Not a gzipped file", suffix=".gz", **_NOTHING),
    "gzip without the ending": Damage(
        lambda records: gzip.compress(_whole(records)), "not_tfrecord",
        "is compressed without the ending .gz", **_NOTHING),
    "empty file": Damage(lambda _: b"", "empty", "Received: an empty file", **_NOTHING),
    "no TFRecord": Damage(lambda _: b"user,item\n1,2\n" * 10, "not_tfrecord",
                          "the file is no TFRecord", **_NOTHING),
    "no Example": Damage(_replace(lambda _: b"no Example"), "not_example",
                         "should be a serialized tf.train.Example"),
    "absent feature": Damage(_edit("item"), "missing", "feature 'item' should be present"),
    "wrong type": Damage(_edit("item", bytes_list=[b"x"]), "wrong_type",
                         "feature 'item' should be one 64-bit integer (int64_list)"),
    "wrong type of a sequence": Damage(
        _edit("liked_item", float_list=[1.0]), "wrong_type",
        "feature 'liked_item' should be a list of 64-bit integers (int64_list)"),
    "wrong count": Damage(_edit("item", int64_list=[1, 2]), "wrong_count",
                          "feature 'item' should be one 64-bit integer. Received: 2 values"),
    "no value": Damage(_edit("item", int64_list=[]), "wrong_count", "Received: 0 values"),
    "unequal sequences": Damage(_edit("exposed_item", int64_list=[1]), "wrong_count",
                                "behaviour 'exposed' should be of equal length"),
    "label out of range": Damage(_edit("is_click", int64_list=[2]), "bad_label",
                                 "label feature 'is_click' of task 'click' should be 0 or 1"),
    "NaN label": Damage(_edit("play_time", float_list=[float("nan")]), "bad_label",
                        "label feature 'play_time' of task 'long_view' should be a finite number"),
    "NaN weight": Damage(_edit("row_weight", float_list=[float("nan")]), "bad_weight",
                         "sample weight 'row_weight' should be a finite number >= 0"),
}
