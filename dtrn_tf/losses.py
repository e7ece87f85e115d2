"""Losses per task: pure functions on logits, one value per row, and the one rule to reduce them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def binary_crossentropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Binary cross-entropy of every row.

    `max(z, 0) - z * y + log(1 + exp(-|z|))`, which overflows for no logit z.

    Args:
        labels: Labels in [0, 1]. [B]
        logits: Logits. [B]

    Returns:
        Loss per row. [B]

    >>> [round(float(loss), 4) for loss in binary_crossentropy([1.0, 0.0], [0.0, 0.0])]
    [0.6931, 0.6931]
    """
    logits = tf.convert_to_tensor(logits)
    labels = tf.cast(labels, logits.dtype)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def squared_error(labels: Tensor, predictions: Tensor) -> Tensor:
    """Squared error of every row, `(p - y)^2`.

    Args:
        labels: Targets. [B]
        predictions: Predictions. [B]

    Returns:
        Loss per row. [B]

    >>> squared_error([1.0, 3.0], [1.0, 1.0]).numpy().tolist()
    [0.0, 4.0]
    """
    predictions = tf.convert_to_tensor(predictions)
    return tf.square(predictions - tf.cast(labels, predictions.dtype))


LOSSES = {"binary": binary_crossentropy, "regression": squared_error}


def weighted_mean(values: Tensor, weights: Tensor, total_weight: Tensor | None = None) -> Tensor:
    """Mean over the observed rows, `sum(w * v) / sum(w)`; 0 if no row is observed.

    Rows of weight 0 are left out before the product, so that their value, even NaN, and their
    gradient cannot leak (0 * NaN is NaN).

    Args:
        values: One value per row. [B]
        weights: Label mask times sample weight. [B]
        total_weight: `sum(w)` over all replicas, if the rows here are only a part of the batch.

    Returns:
        A scalar.

    >>> float(weighted_mean([1.0, 2.0, float("nan")], [1.0, 3.0, 0.0]))
    1.75
    """
    values, weights = tf.convert_to_tensor(values), tf.convert_to_tensor(weights)
    total = tf.reduce_sum(weights) if total_weight is None else total_weight
    kept = tf.where(weights > 0, values, tf.zeros_like(values))
    return tf.math.divide_no_nan(tf.reduce_sum(kept * weights), total)
