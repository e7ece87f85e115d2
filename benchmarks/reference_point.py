"""The model and the records that all benchmarks of a training step share, made in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.layers import MMoE, TaskRefinement
from dtrn_tf.models import DTRN
from dtrn_tf.schema import (NUM_RESERVED_IDS, REQUEST_INDEX, BehaviorSequence, CategoricalFeature,
                            NumericFeature, Schema, SequenceFeature, Task, Vocabulary)

Batch = tuple[dict[str, Any], dict[str, tf.Tensor], dict[str, tf.Tensor]]

_VOCABULARIES = {"item": 100_000, "category": 1_000, "author": 20_000, "tag": 200,
                 "city": 500, "device": 100, "segment": 20, "hour": 24}
_LEVELS = {"city": "request", "device": "request", "segment": "request", "hour": "request",
           "item": "candidate", "category": "candidate", "author": "candidate",
           "tag": "candidate"}
# Histories: a third of them empty, the others log-normal around 0.36 L and cut at L. Padded to L,
# 30 % of the positions are events.
_EMPTY, _MEDIAN, _SIGMA = 1 / 3, 0.36, 1.0


@dataclass(frozen=True, kw_only=True)
class ReferencePoint:
    """Sizes of model and batch; the defaults are the point at which ratios are promised.

    Features: four categorical ones and a number of the request, four and a number of the
    candidate; an item and a category per event. Model: one Transformer of `num_heads` heads with
    2 D feed-forward units, TRM per field with 32 hidden units, MMoE with four experts
    and towers of 32 units, no dropout.

    Args:
        num_tasks: K.
        num_behaviors: T.
        max_length: L.
        width: D.
        num_heads: H.
        num_blocks: Transformer blocks.
        batch_size: B.
        fill: "lognormal" (30 % of all positions, a third of the sequences empty) or "full".
        num_items: Rows of the largest table.
        expert_units: Width of the experts.

    >>> ReferencePoint(width=64).feedforward_units
    128
    """

    num_tasks: int = 4
    num_behaviors: int = 3
    max_length: int = 50
    width: int = 32
    num_heads: int = 2
    num_blocks: int = 1
    batch_size: int = 1024
    fill: str = "lognormal"
    num_items: int = _VOCABULARIES["item"]
    expert_units: int = 32

    @property
    def feedforward_units(self) -> int:
        return 2 * self.width

    @property
    def tower_units(self) -> int:
        return 32

    @property
    def refinement_units(self) -> int:
        return 32

    @property
    def num_experts(self) -> int:
        return 4


def make_schema(point: ReferencePoint) -> Schema:
    """Features, behaviours and tasks of a point.

    >>> len(make_schema(ReferencePoint()).features)
    10
    """
    sizes = {**_VOCABULARIES, "item": point.num_items}
    return Schema(
        vocabularies=tuple(Vocabulary(name=name, kind="identity", size=size)
                           for name, size in sizes.items()),
        features=(
            *(CategoricalFeature(name=name, vocabulary=name, level=level)
              for name, level in _LEVELS.items()),
            NumericFeature(name="activity", level="request"),
            NumericFeature(name="price", level="candidate")),
        behaviors=tuple(
            BehaviorSequence(name=f"behavior_{t}", max_length=point.max_length, features=(
                SequenceFeature(name=f"behavior_{t}_item", vocabulary="item"),
                SequenceFeature(name=f"behavior_{t}_category", vocabulary="category")))
            for t in range(point.num_behaviors)),
        tasks=tuple(Task(name=f"task_{k}", label=f"label_{k}") for k in range(point.num_tasks)))


def make_model(point: ReferencePoint, interest: Any) -> DTRN:
    """The model of a point, with one way to read the behaviour sequences.

    Args:
        point: Sizes.
        interest: A layer that is called as `TaskInterest`.
    """
    return DTRN(
        make_schema(point), interest=interest, embedding_width=point.width,
        refinement=TaskRefinement(point.num_tasks, (point.refinement_units,)),
        network=MMoE(point.num_tasks, point.num_experts, (point.expert_units,)),
        tower_units=(point.tower_units,))


def make_batch(point: ReferencePoint, seed: int, candidates: int = 1) -> Batch:
    """Features, labels and weights as the reader yields them.

    Args:
        point: Sizes.
        seed: Equal seeds give equal batches.
        candidates: Candidates of a request. With more than one, all that belongs to the request
            stands once, and `request_index` [B] names the request of every row.

    >>> features, labels, weights = make_batch(ReferencePoint(batch_size=20), seed=0, candidates=8)
    >>> features["city"].shape, features["item"].shape, features["behavior_0_item"].shape
    (TensorShape([3]), TensorShape([20]), TensorShape([3, None]))
    """
    rng = np.random.default_rng(seed)
    schema, rows = make_schema(point), point.batch_size
    requests = -(-rows // candidates)
    features: dict[str, Any] = {}
    for feature in schema.features:
        size = requests if feature.level == "request" else rows
        features[feature.name] = (
            _ids(rng, schema, feature.vocabulary, size) if isinstance(feature, CategoricalFeature)
            else tf.constant(rng.normal(size=size), tf.float32))
    for behavior in schema.behaviors:
        lengths = _lengths(rng, point, requests)
        for side in behavior.features:
            features[side.name] = tf.RaggedTensor.from_row_lengths(
                _ids(rng, schema, side.vocabulary, int(lengths.sum())), lengths)
    if candidates > 1:
        features[REQUEST_INDEX] = tf.range(rows, dtype=tf.int32) // candidates
    labels = {task.name: tf.constant(rng.random(rows) < 0.2, tf.float32) for task in schema.tasks}
    return features, labels, {name: tf.ones(rows) for name in labels}


def padded(batch: Batch, max_length: int) -> Batch:
    """The same batch with every sequence padded to the full length.

    >>> features, *_ = padded(make_batch(ReferencePoint(batch_size=3), seed=0), max_length=50)
    >>> features["behavior_0_item"].shape
    TensorShape([3, 50])
    """
    features, labels, weights = batch
    return {name: value.to_tensor(shape=[None, max_length])
            if isinstance(value, tf.RaggedTensor) else value
            for name, value in features.items()}, labels, weights


def _lengths(rng: np.random.Generator, point: ReferencePoint, rows: int) -> np.ndarray:
    if point.fill == "full":
        return np.full(rows, point.max_length)
    drawn = rng.lognormal(np.log(_MEDIAN * point.max_length), _SIGMA, rows)
    lengths = np.clip(np.rint(drawn), 1, point.max_length).astype(np.int64)
    return np.where(rng.random(rows) < _EMPTY, 0, lengths)


def _ids(rng: np.random.Generator, schema: Schema, vocabulary: str, count: int) -> tf.Tensor:
    """Popular ids are many: the square of a uniform number lies near zero."""
    size = schema.vocabulary(vocabulary).size
    ids = NUM_RESERVED_IDS + (rng.random(count) ** 2 * size).astype(np.int32)
    return tf.constant(ids, tf.int32)
