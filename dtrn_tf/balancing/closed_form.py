"""IMTL-G and Aligned-MTL: weights that balance the tasks, in closed form."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def imtl(gram: Tensor) -> Tensor:
    """IMTL-G: the update has the same projection on every task's gradient.

    Weights that sum to 1 with g . u_k equal for all k, u_k = g_k / |g_k|.

    Args:
        gram: Scalar products of the tasks' gradients. [K, K]

    Returns:
        Weights of the update. [K] Equal ones where no such weights exist, as with a gradient of
        zero, which has no direction.

    >>> [round(float(w), 4) for w in imtl(tf.constant([[4.0, 0.0], [0.0, 1.0]]))]
    [0.3333, 0.6667]

    Reference: Towards Impartial Multi-task Learning, ICLR 2021.
    """
    num_tasks = gram.shape[0]
    norms = tf.sqrt(tf.linalg.diag_part(gram))
    along = tf.math.divide_no_nan(gram, norms)  # [k, j] = g_k . u_j
    # Rows j > 0: sum_k w_k g_k . (u_0 - u_j) = 0; row 0: sum_k w_k = 1.
    equations = tf.concat([tf.ones([1, num_tasks], gram.dtype),
                           tf.transpose(along[:, :1] - along[:, 1:])], 0)
    scale = tf.maximum(tf.reduce_max(tf.abs(equations[1:]), -1, keepdims=True), 1e-30)
    equations = tf.concat([equations[:1], equations[1:] / scale], 0)
    # The least squares of a singular system, where `tf.linalg.solve` would raise.
    weights = tf.linalg.pinv(equations)[:, 0]
    usable = tf.reduce_all(norms > 0) & tf.reduce_all(tf.math.is_finite(weights))
    return tf.where(usable, weights, 1 / num_tasks)


def aligned(gram: Tensor) -> Tensor:
    """Aligned-MTL: the nearest system of orthogonal gradients of equal length.

    With gram = V diag(l) V^T: w = sqrt(l_min) V diag(l)^(-1/2) V^T 1, over the eigenvalues that
    are not zero; so no direction dominates or conflicts.

    Args:
        gram: Scalar products of the tasks' gradients. [K, K]

    Returns:
        Weights of the update. [K]

    >>> aligned(tf.constant([[4.0, 0.0], [0.0, 1.0]])).numpy().tolist()
    [0.5, 1.0]

    Reference: Independent Component Alignment for Multi-Task Learning, CVPR 2023.
    """
    values, vectors = tf.linalg.eigh(gram)
    epsilon = 1e-7 if gram.dtype == tf.float32 else 1e-15
    used = values > tf.reduce_max(values) * gram.shape[0] * epsilon
    least = tf.reduce_min(tf.where(used, values, gram.dtype.max))
    scale = tf.where(used, tf.sqrt(least / tf.where(used, values, 1)), 0)
    return tf.linalg.matvec(vectors * scale @ tf.transpose(vectors), tf.ones_like(values))
