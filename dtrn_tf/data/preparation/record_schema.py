"""The schema of the records that a prepare spec makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dtrn_tf.data.preparation.events import NUM_RECENCY_BUCKETS
from dtrn_tf.data.preparation.prepare_spec import RECENCY, Feature, PrepareSpec, Sequence
from dtrn_tf.data.preparation.rows import Rows, flat
from dtrn_tf.errors import SchemaError
from dtrn_tf.schema import (
    BehaviorSequence, CategoricalFeature, GroupKey, NumericFeature, Schema, SequenceFeature,
    Vocabulary,
)

_HOURS = 24


def record_schema(spec: PrepareSpec, rows: Rows, layout: str = "impression") -> Schema:
    """Derives the schema; vocabularies of kind file have size 1 until their ids are counted.

    Args:
        spec: What the records are made of.
        rows: Some records, for the types of ids.
        layout: Of the records.

    Raises:
        SchemaError: Features that share a vocabulary do not agree about it.
    """
    return Schema(
        layout=layout,
        vocabularies=tuple(_vocabularies(spec, rows).values()),
        features=(
            *(_feature(feature) for feature in spec.features),
            *(CategoricalFeature(name=s.name, vocabulary=s.name, level="request")
              for s in spec.past_statistics),
        ),
        behaviors=tuple(_behavior(sequence, spec) for sequence in spec.sequences),
        tasks=spec.tasks,
        group=GroupKey(name=spec.columns.user, dtype=_dtype(rows, spec.columns.user)),
    )


def with_sizes(schema: Schema, sizes: Mapping[str, int]) -> Schema:
    """The schema with the final sizes of its vocabulary files."""
    return replace(schema, vocabularies=tuple(
        replace(v, size=sizes.get(v.name, v.size)) for v in schema.vocabularies))


def _vocabularies(spec: PrepareSpec, rows: Rows) -> dict[str, Vocabulary]:
    found: dict[str, Vocabulary] = {}
    for feature in spec.features:
        if feature.kind != "numeric":
            new = _vocabulary(feature, _dtype(rows, feature.name))
            if found.setdefault(new.name, new) != new:
                raise SchemaError(f"features that share vocabulary {new.name!r} should agree in "
                                  f"kind, size and type. Received: {found[new.name]} and {new}.")
    for statistic in spec.past_statistics:
        found[statistic.name] = Vocabulary(name=statistic.name, kind="identity",
                                           size=statistic.size)
    if any(RECENCY in sequence.sides for sequence in spec.sequences):
        found[RECENCY] = Vocabulary(name=RECENCY, kind="identity", size=NUM_RECENCY_BUCKETS)
    return found


def _vocabulary(feature: Feature, dtype: str) -> Vocabulary:
    name = feature.vocabulary_name
    if feature.kind == "ids":
        return Vocabulary(name=name, size=1, dtype=dtype, file=f"vocabularies/{name}.txt")
    if feature.kind == "hash":
        return Vocabulary(name=name, kind="hash", size=int(feature.size or 0), dtype=dtype)
    size = _HOURS if feature.kind == "hour" else int(feature.size or 0)
    return Vocabulary(name=name, kind="identity", size=size)


def _feature(feature: Feature) -> CategoricalFeature | NumericFeature:
    if feature.kind == "numeric":
        return NumericFeature(name=feature.name, level=feature.resolved_level,
                              transform=feature.transform)
    return CategoricalFeature(name=feature.name, vocabulary=feature.vocabulary_name,
                              level=feature.resolved_level)


def _behavior(sequence: Sequence, spec: PrepareSpec) -> BehaviorSequence:
    item = spec.item_feature
    assert item is not None  # The spec has checked it.
    sides = [f for f in spec.side_features if f.name in sequence.sides and f is not item]
    features = [SequenceFeature(name=f"{sequence.behavior}_item",
                                vocabulary=item.vocabulary_name)]
    features += [SequenceFeature(name=f"{sequence.behavior}_{f.name}",
                                 vocabulary=f.vocabulary_name) for f in sides]
    if RECENCY in sequence.sides:
        features.append(SequenceFeature(name=f"{sequence.behavior}_{RECENCY}",
                                        vocabulary=RECENCY))
    return BehaviorSequence(name=sequence.behavior, max_length=sequence.max_length,
                            features=tuple(features))


def _dtype(rows: Rows, name: str) -> str:
    return "string" if flat(rows.columns[name]).dtype == object else "int64"
