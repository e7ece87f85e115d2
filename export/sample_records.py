"""Records to try a model with, made up from the schema and the vocabularies."""

from __future__ import annotations

import os
import random
from typing import Any

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.vocabulary import read_vocabulary
from dtrn_tf.schema import Schema, Vocabulary

_UNKNOWN_SHARE = 0.1
_EMPTY_SHARE = 0.3
_MAX_KNOWN = 10_000
_CANDIDATES = 4


def sample_records(schema: Schema, directory: str, count: int, seed: int = 0) -> list[bytes]:
    """Serialized examples of every kind that a server may meet.

    Known and unknown ids, empty sequences, sequences longer than the maximum, numbers of both
    signs and NaN. The first record has no history and the second the longest one. Requests have
    one to four candidates.

    Args:
        schema: What the records hold.
        directory: Where the schema's vocabulary files lie.
        count: Number of records.
        seed: The same seed gives the same records.
    """
    source = random.Random(seed)
    known = {v.name: _known_ids(v, directory, source) for v in schema.vocabularies}
    return [encode_example(_row(schema, known, source, number), schema) for number in range(count)]


def _row(schema: Schema, known: dict[str, list[Any]], source: random.Random,
         number: int) -> dict[str, Any]:
    rows = [_candidate(schema, known, source, number)
            for _ in range(1 if schema.layout == "impression" else source.randint(1, _CANDIDATES))]
    return {name: [row[name] for row in rows] if name in schema.candidate_lists else value
            for name, value in rows[0].items()}


def _candidate(schema: Schema, known: dict[str, list[Any]], source: random.Random,
               number: int) -> dict[str, Any]:
    row: dict[str, Any] = _targets(schema)
    for categorical in schema.categorical_features:
        row[categorical.name] = _id(schema.vocabulary(categorical.vocabulary), known, source)
    for numeric in schema.numeric_features:
        row[numeric.name] = float("nan") if source.random() < 0.01 else source.gauss(0.0, 3.0)
    for behavior in schema.behaviors:
        length = _length(behavior.max_length, source, number)
        for feature in behavior.features:
            vocabulary = schema.vocabulary(feature.vocabulary)
            row[feature.name] = [_id(vocabulary, known, source) for _ in range(length)]
    return row


def _targets(schema: Schema) -> dict[str, Any]:
    """What the codec wants besides features; no signature reads it."""
    row: dict[str, Any] = {}
    for task in schema.tasks:
        row[task.label] = 0 if task.dtype == "int64" else 0.0
        if task.mask is not None:
            row[task.mask] = 1
    if schema.sample_weight is not None:
        row[schema.sample_weight] = 1.0
    if schema.group is not None:
        row[schema.group.name] = 0 if schema.group.dtype == "int64" else "0"
    return row


def _length(max_length: int, source: random.Random, number: int) -> int:
    if number == 0 or (number > 1 and source.random() < _EMPTY_SHARE):
        return 0
    longest = max_length + 3
    return longest if number == 1 else source.randint(1, longest)


def _id(vocabulary: Vocabulary, known: dict[str, list[Any]], source: random.Random) -> Any:
    if source.random() < _UNKNOWN_SHARE:
        return _raw(vocabulary, source.randrange(2 ** 40, 2 ** 41) * source.choice((-1, 1)))
    return source.choice(known[vocabulary.name])


def _known_ids(vocabulary: Vocabulary, directory: str, source: random.Random) -> list[Any]:
    """Ids that have a row of their own; any id has one in hash buckets."""
    if vocabulary.kind == "file":
        return read_vocabulary(os.path.join(directory, str(vocabulary.file)), vocabulary.dtype)
    numbers = range(vocabulary.size)
    chosen = source.sample(numbers, min(vocabulary.size, _MAX_KNOWN))
    return [_raw(vocabulary, number) for number in chosen]


def _raw(vocabulary: Vocabulary, number: int) -> Any:
    return number if vocabulary.dtype == "int64" else f"id-{number}"
