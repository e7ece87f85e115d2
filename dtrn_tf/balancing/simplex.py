"""The smallest value of a convex function of weights that are >= 0 and sum to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any

_ITERATIONS = 40
_SHORTEN = 0.99


def minimize_on_simplex(derivatives: Callable[[Tensor], tuple[Tensor, Tensor]],
                        num_weights: int) -> Tensor:
    """Finds the weights by a primal-dual interior point method, as exactly as float64 allows.

    Args:
        derivatives: Gives gradient [K] and Hessian [K, K] of the function at weights float64 [K];
            both finite inside the simplex and of magnitude near 1.
        num_weights: K.

    Returns:
        float64 [K], sums to 1.

    >>> target = tf.constant([0.2, 0.9, -0.5], tf.float64)
    >>> minimize_on_simplex(lambda x: (x - target, tf.eye(3, dtype=tf.float64)), 3).numpy().round(6)
    array([0.15, 0.85, 0.  ])
    """
    one = tf.ones([num_weights], tf.float64)

    def iterate(step: Tensor, weights: Tensor, slack: Tensor, level: Tensor) -> tuple[Tensor, ...]:
        gradient, hessian = derivatives(weights)
        barrier = 0.1 * tf.tensordot(weights, slack, 1) / num_weights
        # Newton's step for: gradient - slack + level = 0, weights * slack = barrier, sum = 1.
        matrix = hessian + tf.linalg.diag(slack / weights)
        right = tf.stack([barrier / weights - gradient - level, one], 1)
        moves, along = tf.unstack(tf.linalg.solve(matrix, right), axis=1)
        rise = tf.reduce_sum(moves) / tf.reduce_sum(along)
        change = moves - rise * along
        slack_change = barrier / weights - slack - slack / weights * change
        size = tf.minimum(_reach(weights, change), _reach(slack, slack_change))
        weights = weights + size * change
        return (step + 1, weights / tf.reduce_sum(weights), slack + size * slack_change,
                level + size * rise)

    start = (tf.constant(0), one / num_weights, one, tf.constant(0.0, tf.float64))
    return tf.while_loop(lambda step, weights, slack, _: (step < _ITERATIONS) & (
        tf.tensordot(weights, slack, 1) > 1e-15), iterate, start)[1]


def _reach(values: Tensor, change: Tensor) -> Tensor:
    """How far to go, at most 1, so that all values stay positive."""
    limits = tf.where(change < 0, -values / change, tf.constant(2.0, tf.float64))
    return tf.minimum(tf.constant(1.0, tf.float64), _SHORTEN * tf.reduce_min(limits))
