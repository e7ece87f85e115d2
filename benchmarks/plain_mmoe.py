"""MMoE of Keras layers alone: what a team without this package would serve."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from benchmarks.plain_transformer_block import masked_mean
from benchmarks.reference_point import ReferencePoint, make_schema
from dtrn_tf.schema import PADDING_ID, NumericFeature

keras = tf.keras


class _EventMean(keras.layers.Layer):  # type: ignore[name-defined]
    """The mean of a sequence's embeddings, without its padding."""

    def call(self, embedded: Any, items: Any) -> Any:
        return masked_mean(embedded, tf.not_equal(items, PADDING_ID))


def plain_mmoe(point: ReferencePoint) -> Any:
    """A functional Keras model with the features, experts and towers of a point.

    One embedding per id, the mean embedding of every behaviour's items, the numbers as they are;
    experts, gates and towers are a `Dense` layer each. No interests, no refinement.

    Args:
        point: Sizes.

    Returns:
        A model of {feature: [B]; sequence feature: [B, L]}, table rows and numbers, that gives
        {task: logits [B]}.

    >>> point = ReferencePoint(num_items=50, num_tasks=2, num_behaviors=1)
    >>> {task: tuple(logits.shape) for task, logits in plain_mmoe(point).output.items()}
    {'task_0': (None, 1), 'task_1': (None, 1)}
    """
    schema = make_schema(point)
    inputs = {f.name: keras.Input((), dtype="float32" if isinstance(f, NumericFeature) else "int32",
                                  name=f.name) for f in schema.features}
    inputs |= {f.name: keras.Input((None,), dtype="int32", name=f.name)
               for f in schema.sequence_features}
    tables = {v.name: keras.layers.Embedding(v.num_rows, point.width, name=f"table_{v.name}")
              for v in schema.vocabularies}
    parts = [inputs[f.name][:, None] if isinstance(f, NumericFeature)
             else tables[f.vocabulary](inputs[f.name]) for f in schema.features]
    for behavior in schema.behaviors:
        item = behavior.features[0]
        embedded = tables[item.vocabulary](inputs[item.name])
        parts.append(_EventMean()(embedded, inputs[item.name]))
    joined = keras.layers.Concatenate()(parts)
    experts = [keras.layers.Dense(point.expert_units, "relu")(joined)
               for _ in range(point.num_experts)]
    stacked = keras.layers.Concatenate(1)([keras.layers.Reshape((1, -1))(e) for e in experts])
    logits = {}
    for task in schema.task_names:
        gate = keras.layers.Dense(point.num_experts, "softmax", use_bias=False)(joined)
        mixed = keras.layers.Dot(1)([gate, stacked])
        hidden = keras.layers.Dense(point.tower_units, "relu")(mixed)
        logits[task] = keras.layers.Dense(1, name=task)(hidden)
    return keras.Model(inputs, logits)
