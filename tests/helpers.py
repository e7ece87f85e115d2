"""A small schema with every kind of feature, and records and files that fit it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.schema import (
    BehaviorSequence,
    CategoricalFeature,
    GroupKey,
    NumericFeature,
    Schema,
    SequenceFeature,
    Task,
    Vocabulary,
    save_schema,
)

ITEMS = [101, 103, 107, 109, 113]
AUTHORS = ["ann", "bob", "žofie"]


def small_schema(**changes: Any) -> Schema:
    """File, hash and identity vocabularies, two behaviours, every label rule, mask, weight."""
    parts: dict[str, Any] = dict(
        vocabularies=(
            Vocabulary(name="item", size=5, file="vocabularies/item.txt"),
            Vocabulary(name="author", size=3, dtype="string", file="vocabularies/author.txt"),
            Vocabulary(name="city", kind="hash", size=11, dtype="string"),
            Vocabulary(name="device", kind="hash", size=13),
            Vocabulary(name="tab", kind="identity", size=7),
        ),
        features=(
            CategoricalFeature(name="item", vocabulary="item", level="candidate"),
            CategoricalFeature(name="author", vocabulary="author", level="candidate"),
            CategoricalFeature(name="city", vocabulary="city", level="request"),
            CategoricalFeature(name="device", vocabulary="device", level="request"),
            CategoricalFeature(name="tab", vocabulary="tab", level="request"),
            NumericFeature(name="age", level="request"),
            NumericFeature(name="duration", level="candidate", transform="log1p"),
        ),
        behaviors=(
            BehaviorSequence(name="exposed", max_length=3, features=(
                SequenceFeature(name="exposed_item", vocabulary="item"),
                SequenceFeature(name="exposed_author", vocabulary="author"),
            )),
            BehaviorSequence(name="liked", max_length=2, features=(
                SequenceFeature(name="liked_item", vocabulary="item"),
            )),
        ),
        tasks=(
            Task(name="click", label="is_click"),
            Task(name="order", label="code", one_of=(4, 5), weight=2.0),
            Task(name="long_view", label="play_time", dtype="float32", at_least=7.0),
            Task(name="rating", label="stars", dtype="float32", kind="regression", mask="is_click"),
        ),
        sample_weight="row_weight",
        group=GroupKey(name="user_id"),
    )
    return Schema(**{**parts, **changes})


def small_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A row whose `user_id` is `number`; other values follow from it."""
    length = number % 5
    return {
        "item": ITEMS[number % 5], "author": AUTHORS[number % 3], "city": f"city{number % 4}",
        "device": number % 6, "tab": number % 7, "age": float(20 + number),
        "duration": float(number),
        "exposed_item": [ITEMS[(number + i) % 5] for i in range(length)],
        "exposed_author": [AUTHORS[(number + i) % 3] for i in range(length)],
        "liked_item": ITEMS[:number % 3],
        "is_click": number % 2, "code": number % 6, "play_time": float(number % 11),
        "stars": float(number % 5), "row_weight": 1.0 + number % 3, "user_id": number, **changes,
    }


def small_request(numbers: Iterable[int] = (3, 4), **changes: Any) -> dict[str, Any]:
    """A request: the candidates and labels of some `small_row`s, the user side of the first."""
    rows = [small_row(number) for number in numbers]
    lists = small_schema(layout="request").candidate_lists
    return {name: [row[name] for row in rows] if name in lists else value
            for name, value in rows[0].items()} | changes


def small_requests(rows: int = 23) -> list[list[int]]:
    """Numbers of `small_row`s in requests of 1, 2, 3, 4, 1, 2 ... candidates."""
    requests: list[list[int]] = [[]]
    for number in range(rows):
        if len(requests[-1]) == 1 + (len(requests) - 1) % 4:
            requests.append([])
        requests[-1].append(number)
    return requests


def small_records(schema: Schema, rows: int = 23, **changes: Any) -> list[bytes]:
    """All `small_row`s, each for itself or in `small_requests`, as the schema's layout says."""
    if schema.layout == "request":
        return [encode_example(small_request(numbers, **changes), schema)
                for numbers in small_requests(rows)]
    return [encode_example(small_row(number, **changes), schema) for number in range(rows)]


def write_records(path: str | os.PathLike[str], records: Iterable[bytes]) -> str:
    """Writes serialized records, compressed if the name ends in `.gz`."""
    path = os.fspath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    options = tf.io.TFRecordOptions(compression_type="GZIP" if path.endswith(".gz") else "")
    with tf.io.TFRecordWriter(path, options) as writer:
        for record in records:
            writer.write(record)
    return path


def write_small_data(
    directory: str | os.PathLike[str], schema: Schema | None = None, *,
    rows: int = 23, shards: int = 3, suffix: str = ".tfrecord",
    splits: Iterable[str] = ("train", "valid", "test"), changes: Mapping[str, Any] | None = None,
) -> str:
    """Writes a data directory of `small_records`, dealt to the shards in turn."""
    schema = schema or small_schema()
    directory = os.fspath(directory)
    os.makedirs(directory, exist_ok=True)
    save_schema(schema, f"{directory}/schema.yaml")
    write_vocabulary(f"{directory}/vocabularies/item.txt", ITEMS)
    write_vocabulary(f"{directory}/vocabularies/author.txt", AUTHORS)
    save_statistics(
        Statistics(numeric={"age": Moments(30.0, 5.0), "duration": Moments(1.5, 0.5)},
                   base_rates={"click": 0.5, "order": 0.3, "long_view": 0.4, "rating": 2.0}),
        f"{directory}/statistics.json")
    for split in splits:
        for shard in range(shards):
            write_records(
                f"{directory}/{split}/part-{shard:05d}-of-{shards:05d}{suffix}",
                small_records(schema, rows, **(changes or {}))[shard::shards])
    return directory
