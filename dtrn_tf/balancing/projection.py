"""PCGrad and GradVac: every task's gradient is projected past those that it conflicts with."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def pcgrad(gram: Tensor, order: Tensor) -> Tensor:
    """PCGrad: takes out of each gradient what opposes another one.

    For each task i, starting from p_i = g_i, for every other j in random order:
    p_i <- p_i - (p_i . g_j) / |g_j|^2 g_j if p_i . g_j < 0. The sum of all p_i is the update.

    Args:
        gram: Scalar products g_i . g_j of the tasks' gradients. [K, K]
        order: For every task the order in which it meets the others (itself is passed over), a
            permutation of all tasks. [K, K]

    Returns:
        Weights w of the update sum_k w_k g_k. [K]

    >>> pcgrad(tf.constant([[1.0, -1.0], [-1.0, 2.0]]), tf.constant([[0, 1], [0, 1]])).numpy()
    array([2. , 1.5], dtype=float32)

    Reference: Gradient Surgery for Multi-Task Learning, arXiv 2001.06782.
    """
    num_tasks = gram.shape[0]
    projected = tf.eye(num_tasks, dtype=gram.dtype)  # Row i: p_i in terms of all gradients.
    for place in range(num_tasks):
        others = tf.cast(order[:, place], tf.int32)  # [K]: the task that each one meets now
        met = tf.gather(gram, others)                  # [K, K]
        product = tf.reduce_sum(projected * met, -1)   # p_i . g_j
        size = tf.linalg.diag_part(tf.gather(met, others, axis=1))  # |g_j|^2
        conflict = (product < 0) & (others != tf.range(num_tasks))
        share = tf.where(conflict, tf.math.divide_no_nan(product, size), 0)
        projected -= share[:, tf.newaxis] * tf.one_hot(others, num_tasks, dtype=gram.dtype)
    return tf.reduce_sum(projected, 0)


def gradvac(gram: Tensor, order: Tensor, target: Tensor, decay: float = 0.5
            ) -> tuple[Tensor, Tensor]:
    """GradVac: turns each gradient towards another until their cosine is the usual one.

    For each task i, for every other j in random order, with c the cosine of p_i and g_j and c*
    its moving average: p_i <- p_i + |p_i| (c* sqrt(1 - c^2) - c sqrt(1 - c*^2)) /
    (|g_j| sqrt(1 - c*^2)) g_j if c < c*; then c* <- (1 - decay) c* + decay c.

    Args:
        gram: Scalar products of the tasks' gradients. [K, K]
        order: As for `pcgrad`. [K, K]
        target: Moving averages c* of the cosines, zeros at first. [K, K]
        decay: How fast the averages follow.

    Returns:
        Weights of the update [K], and the new averages [K, K].

    Reference: Gradient Vaccine, arXiv 2010.05874.
    """
    num_tasks = gram.shape[0]
    projected = tf.eye(num_tasks, dtype=gram.dtype)
    for place in range(num_tasks):
        others = tf.cast(order[:, place], tf.int32)
        met = tf.gather(gram, others)
        product = tf.reduce_sum(projected * met, -1)
        own = tf.sqrt(tf.maximum(tf.reduce_sum((projected @ gram) * projected, -1), 0))  # |p_i|
        other = tf.sqrt(tf.linalg.diag_part(tf.gather(met, others, axis=1)))             # |g_j|
        cosine = tf.math.divide_no_nan(product, own * other)
        places = tf.stack([tf.range(num_tasks), others], 1)
        usual = tf.gather_nd(target, places)
        # A gradient of zero has no direction to turn to or from.
        met_other = (others != tf.range(num_tasks)) & (own * other > 0)
        turn = own * (usual * _sine(cosine) - cosine * _sine(usual))
        share = tf.where(met_other & (cosine < usual),
                         tf.math.divide_no_nan(turn, other * _sine(usual)), 0)
        projected += share[:, tf.newaxis] * tf.one_hot(others, num_tasks, dtype=gram.dtype)
        moved = tf.where(met_other, decay * (cosine - usual), 0)
        target = tf.tensor_scatter_nd_add(target, places, moved)
    return tf.reduce_sum(projected, 0), target


def _sine(cosine: Tensor) -> Tensor:
    return tf.sqrt(tf.maximum(1 - tf.square(cosine), 0))
