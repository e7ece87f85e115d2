"""Records to try a model with, made up from the schema and the vocabularies."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Callable
from typing import Any

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.vocabulary import read_vocabulary
from dtrn_tf.schema import Schema, Vocabulary

_UNKNOWN_SHARE = 0.1
_EMPTY_SHARE = 0.3
_PADDING_SHARE = 0.2
_ABSENT_SHARE = 0.1
_MAX_KNOWN = 10_000
_CANDIDATES = 4
_MANY = 5
_NOW = 2 ** 40

Draw = Callable[[], Any]


def sample_records(schema: Schema, directory: str, count: int, seed: int = 0) -> list[bytes]:
    """Serialized examples of every kind that a server may meet.

    Known and unknown ids, absent features and padding as far as the schema allows them, empty
    lists, sequences longer than the maximum, numbers of both signs and NaN. The first record has
    no history and the second the longest one. Requests have one to four candidates.

    Args:
        schema: What the records hold.
        directory: Where the schema's vocabulary files lie.
        count: Number of records.
        seed: The same seed gives the same records.
    """
    source = random.Random(seed)
    draws = _draws(schema, directory, source)
    return [encode_example(_row(schema, draws, source, number), schema) for number in range(count)]


def _row(schema: Schema, draws: dict[str, Draw], source: random.Random,
         number: int) -> dict[str, Any]:
    candidates = 1 if schema.layout == "impression" else source.randint(1, _CANDIDATES)
    longest = {f.source: b.max_length for b in schema.behaviors for f in b.features}
    optional = {f.name for f in schema.record_features if f.is_optional and f.role == "input"}
    features = {f.name: f for f in schema.record_features}
    row = {}
    for names in _groups(schema):
        length = _length(max(longest.get(name, _MANY) for name in names), source, number)
        if optional.issuperset(names) and number > 1 and source.random() < _ABSENT_SHARE:
            continue
        for name in names:
            f = features[name]
            count = {"one": 1, "vector": f.size, "candidate": f.size * candidates}.get(
                f.values, length)
            values = [draws[name]() for _ in range(count)]
            row[name] = values[0] if f.values == "one" else values
    return row


def _groups(schema: Schema) -> list[list[str]]:
    """The features of a record, those together whose lists are of equal length."""
    groups = {f.name: [f.name] for f in schema.record_features}
    for _, names in schema.aligned_features:
        joined = [name for group in {id(groups[n]): groups[n] for n in names}.values()
                  for name in group]
        groups.update((name, joined) for name in joined)
    return list({id(group): group for group in groups.values()}.values())


def _draws(schema: Schema, directory: str, source: random.Random) -> dict[str, Draw]:
    """Per feature of the records, what draws one value of it."""
    known = {v.name: _known_ids(v, directory, source) for v in schema.vocabularies}
    zeros: dict[str, Any] = {"int64": 0, "float32": 0.0, "string": "0"}
    # Labels and group key: the codec wants them, no signature reads them.
    draws: dict[str, Draw] = {
        f.name: functools.partial(zeros.get, f.dtype) for f in schema.record_features}
    for number in schema.numeric_features:
        draws[number.source] = {"int64": lambda: source.randrange(-10, 1000),
                                "float32": lambda: _number(source)}[number.dtype]
    for behavior in schema.behaviors:
        for i, feature in enumerate(behavior.features):
            draw = _id_draw(schema.vocabulary(feature.vocabulary), known, source,
                            None if i else behavior.padding)
            draws[feature.source] = functools.partial(_time, draw) if feature.gap else draw
    for f in schema.categorical_features:
        draws[f.source] = _id_draw(schema.vocabulary(f.vocabulary), known, source, f.padding)
        if f.weights:
            draws[f.weights] = lambda: source.expovariate(1.0)
    if schema.time:
        draws[schema.time.source] = lambda: _NOW
    return draws


def _number(source: random.Random) -> float:
    return float("nan") if source.random() < 0.01 else source.gauss(0.0, 3.0)


def _time(gap: Draw) -> Any:
    return _NOW - gap()


def _id_draw(vocabulary: Vocabulary, known: dict[str, list[Any]], source: random.Random,
             padding: Any) -> Draw:
    def draw() -> Any:
        if padding is not None and source.random() < _PADDING_SHARE:
            return padding
        if source.random() < _UNKNOWN_SHARE:
            return _raw(vocabulary, source.randrange(2 ** 40, 2 ** 41) * source.choice((-1, 1)))
        return source.choice(known[vocabulary.name])
    return draw


def _length(max_length: int, source: random.Random, number: int) -> int:
    if number == 0 or (number > 1 and source.random() < _EMPTY_SHARE):
        return 0
    longest = max_length + 3
    return longest if number == 1 else source.randint(1, longest)


def _known_ids(vocabulary: Vocabulary, directory: str, source: random.Random) -> list[Any]:
    """Ids that have a row of their own; any id has one in hash buckets."""
    if vocabulary.kind == "file":
        return read_vocabulary(os.path.join(directory, str(vocabulary.file)), vocabulary.dtype)
    if vocabulary.kind == "log_bucket":
        return [_raw(vocabulary, int(2.0 ** (bucket / vocabulary.resolution)))
                for bucket in range(vocabulary.size)]
    numbers = range(vocabulary.size)
    chosen = source.sample(numbers, min(vocabulary.size, _MAX_KNOWN))
    return [_raw(vocabulary, number) for number in chosen]


def _raw(vocabulary: Vocabulary, number: int) -> Any:
    kinds: dict[str, Callable[[int], Any]] = {
        "int64": int, "float32": float, "string": lambda n: f"id-{n}"}
    return kinds[vocabulary.dtype](number)
