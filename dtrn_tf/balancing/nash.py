"""Nash-MTL: the update that the tasks would agree on in a bargain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any

_ITERATIONS = 50
# Opposite gradients have nothing to bargain for: without it, their weights would have no limit.
_RIDGE = 1e-6


def nash(gram: Tensor) -> Tensor:
    """Nash-MTL: every task's gain counts by its logarithm, so scales of losses do not matter.

    The weights w > 0 with gram w = 1 / w (elementwise), the minimum of w' gram w / 2 - sum log w,
    found by damped Newton steps. The length of the update is sqrt(K).

    Args:
        gram: Scalar products of the tasks' gradients. [K, K]

    Returns:
        Weights of the update. [K] A task of gradient zero takes no part and has weight 1.

    >>> [round(float(w), 4) for w in nash(tf.constant([[4.0, 0.0], [0.0, 1.0]]))]
    [0.5, 1.0]

    Reference: Multi-Task Learning as a Bargaining Game, arXiv 2202.01017.
    """
    num_tasks = gram.shape[0]
    norms = tf.sqrt(tf.linalg.diag_part(tf.cast(gram, tf.float64)))
    cosines = tf.math.divide_no_nan(tf.cast(gram, tf.float64), norms[:, tf.newaxis] * norms)
    # A diagonal of ones, for tasks of gradient zero too.
    matrix = tf.linalg.set_diag(cosines, tf.fill([num_tasks], tf.constant(1 + _RIDGE, tf.float64)))

    def iterate(step: Tensor, gains: Tensor) -> tuple[Tensor, Tensor]:
        gradient = tf.linalg.matvec(matrix, gains) - 1 / gains
        hessian = matrix + tf.linalg.diag(1 / tf.square(gains))
        change = tf.linalg.solve(hessian, gradient[:, tf.newaxis])[:, 0]
        # The function is self-concordant: this length never leaves w > 0 and always converges.
        decrement = tf.sqrt(tf.tensordot(gradient, change, 1))
        size = tf.where(decrement > 0.25, 1 / (1 + decrement), 1.0)
        return step + 1, gains - size * change

    start = (tf.constant(0), tf.ones([num_tasks], tf.float64))
    gains = tf.while_loop(lambda step, _: step < _ITERATIONS, iterate, start)[1]
    return tf.cast(tf.where(norms > 0, gains / tf.where(norms > 0, norms, 1), 1), gram.dtype)
