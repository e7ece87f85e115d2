"""How much every task's loss counts: rules that learn it, as pure functions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def uncertainty(losses: Tensor, log_variances: Tensor) -> tuple[Tensor, Tensor]:
    """Uncertainty weighting: a task whose labels are noise counts less.

    The loss is sum_k exp(-s_k) L_k / 2 + s_k / 2, with s learned.

    Args:
        losses: L. [K]
        log_variances: s. [K]

    Returns:
        Weights exp(-s) / 2 [K], and the gradient of the loss by s [K].

    >>> weights, slope = uncertainty(tf.constant([1.0, 3.0]), tf.zeros([2]))
    >>> weights.numpy().tolist(), slope.numpy().tolist()
    ([0.5, 0.5], [0.0, -1.0])

    Reference: Multi-Task Learning Using Uncertainty to Weigh Losses, arXiv 1705.07115.
    """
    weights = 0.5 * tf.exp(-log_variances)
    return weights, 0.5 - weights * losses


def impartial(losses: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """IMTL-L: every weighted loss comes to be 1.

    The loss is sum_k exp(s_k) L_k - s_k, with s learned.

    Args:
        losses: L. [K]
        scales: s. [K]

    Returns:
        Weights exp(s) [K], and the gradient of the loss by s [K].

    >>> weights, slope = impartial(tf.constant([1.0, 3.0]), tf.zeros([2]))
    >>> weights.numpy().tolist(), slope.numpy().tolist()
    ([1.0, 1.0], [0.0, 2.0])

    Reference: Towards Impartial Multi-task Learning, ICLR 2021.
    """
    weights = tf.exp(scales)
    return weights, weights * losses - 1


def dynamic_weight_average(last: Tensor, before: Tensor, temperature: float = 2.0) -> Tensor:
    """Dynamic weight averaging: a task whose loss falls slowly counts more.

    w = K softmax(last / before / temperature).

    Args:
        last: Mean losses of the last period. [K]
        before: Mean losses of the period before. [K]
        temperature: Higher means more equal weights.

    Returns:
        Weights that sum to K. [K]

    >>> dynamic_weight_average(tf.constant([1.0, 1.0]), tf.constant([1.0, 1.0])).numpy().tolist()
    [1.0, 1.0]

    Reference: End-to-End Multi-Task Learning with Attention, arXiv 1803.10704.
    """
    slowness = tf.math.divide_no_nan(last, before)
    return last.shape[0] * tf.nn.softmax(slowness / temperature)


def gradnorm(losses: Tensor, first_losses: Tensor, norms: Tensor, scales: Tensor,
             asymmetry: float = 1.5) -> tuple[Tensor, Tensor]:
    """GradNorm: tasks that lag behind get larger gradients.

    w = K softmax(s). With G_k = w_k |g_k| and r_k the share of its first loss that task k still
    has, relative to the mean over tasks, s follows the gradient of
    sum_k |G_k - mean(G) r_k^asymmetry|, where the targets count as constants.

    Args:
        losses: L. [K]
        first_losses: Those of the first step. [K]
        norms: |g_k|, of the unweighted losses, on the shared weights. [K]
        scales: s. [K]
        asymmetry: How strongly tasks that lag are pulled up; 0 makes all norms equal.

    Returns:
        Weights w that sum to K [K], and the gradient by s [K].

    Reference: GradNorm, arXiv 1711.02257.
    """
    num_tasks = scales.shape[0]
    shares = tf.nn.softmax(scales)
    weights = num_tasks * shares
    weighted = weights * norms
    left = tf.math.divide_no_nan(losses, first_losses)
    target = tf.reduce_mean(weighted) * tf.pow(
        tf.math.divide_no_nan(left, tf.reduce_mean(left)), asymmetry)
    by_weight = tf.sign(weighted - target) * norms
    # Through the softmax: dw_j / ds_k = K p_j (delta_jk - p_k).
    return weights, weights * (by_weight - tf.reduce_sum(shares * by_weight))
