"""MGDA and CAGrad: weights that look for a direction good for the worst task."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.balancing.simplex import minimize_on_simplex

Tensor = Any


def mgda(gram: Tensor) -> Tensor:
    """MGDA: the shortest vector among all averages of the gradients.

    min |sum_k w_k g_k|^2 over w >= 0, sum w = 1: a direction in which no task gets worse, zero
    only where no such direction exists. Divide the gradients (rows and columns of `gram`) by norms
    or losses first to normalise.

    Args:
        gram: Scalar products of the tasks' gradients. [K, K]

    Returns:
        Weights of the update; they sum to 1. [K]

    >>> [round(float(w), 4) for w in mgda(tf.constant([[4.0, 0.0], [0.0, 1.0]]))]
    [0.2, 0.8]

    Reference: Multi-Task Learning as Multi-Objective Optimization, arXiv 1810.04650.
    """
    matrix, _ = _scaled(gram)
    weights = minimize_on_simplex(lambda w: (tf.linalg.matvec(matrix, w), matrix), gram.shape[0])
    return tf.cast(weights, gram.dtype)


def cagrad(gram: Tensor, radius: float = 0.4) -> Tensor:
    """CAGrad: near the mean gradient, the direction best for the worst task.

    max over d of min_k g_k . d subject to |d - g_0| <= c |g_0|, g_0 the mean gradient. Its dual:
    min over w of g_w . g_0 + c |g_0| |g_w| on the simplex; then d = g_0 + c |g_0| / |g_w| g_w.

    Args:
        gram: Scalar products of the tasks' gradients. [K, K]
        radius: c; 0 is the mean gradient.

    Returns:
        Weights of d times K, so that c = 0 is the sum of the gradients. [K]

    >>> [round(float(w), 4) for w in cagrad(tf.constant([[4.0, 0.0], [0.0, 1.0]]), radius=0.5)]
    [1.0, 2.118]

    Reference: Conflict-Averse Gradient Descent for Multi-task Learning, arXiv 2110.14048.
    """
    num_tasks = gram.shape[0]
    matrix, _ = _scaled(gram)
    mean = tf.reduce_mean(matrix, -1)  # g_k . g_0
    reach = radius * tf.sqrt(tf.maximum(tf.reduce_mean(mean), 0))

    def derivatives(weights: Tensor) -> tuple[Tensor, Tensor]:
        along = tf.linalg.matvec(matrix, weights)
        length = tf.sqrt(tf.tensordot(weights, along, 1) + 1e-18)
        curve = matrix / length - along[:, tf.newaxis] * along / length**3
        return mean + reach * along / length, reach * curve

    weights = minimize_on_simplex(derivatives, num_tasks)
    length = tf.sqrt(tf.maximum(tf.tensordot(weights, tf.linalg.matvec(matrix, weights), 1), 0))
    # No direction of the worst case is left where g_w is zero: then the mean gradient it is.
    share = tf.where(length > 1e-9, reach / tf.maximum(length, 1e-9), 0)
    return tf.cast(1 + num_tasks * share * weights, gram.dtype)


def _scaled(gram: Tensor) -> tuple[Tensor, Tensor]:
    """float64, divided by the largest entry: the weights do not depend on the scale."""
    gram = tf.cast(gram, tf.float64)
    largest = tf.reduce_max(tf.abs(gram))
    return tf.math.divide_no_nan(gram, largest), largest
