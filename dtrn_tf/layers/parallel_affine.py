"""Several affine maps side by side, as one matrix product."""

from __future__ import annotations

import tensorflow as tf


def parallel_affine(
    inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns x_s W_s + b_s for S maps, every one of G inputs going to S / G of them in turn.

    Args:
        inputs: [..., G, N]; G divides S.
        kernel: W. [S, N, U]
        bias: b, or None. [S, U]

    Returns:
        [..., S, U].

    Example:
        >>> kernel = tf.constant([[[1.0]], [[10.0]]])
        >>> parallel_affine(tf.constant([[2.0], [3.0]]), kernel).numpy().tolist()
        [[2.0], [30.0]]
        >>> parallel_affine(tf.constant([[2.0]]), kernel, tf.ones([2, 1])).numpy().tolist()
        [[3.0], [21.0]]
    """
    num_parallel, _, units = kernel.shape
    outputs = _product(inputs, kernel)  # [R, S * U]
    if bias is not None:
        outputs = tf.nn.bias_add(outputs, tf.reshape(bias, [-1]))
    outputs = tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-2], [num_parallel, units]], 0))
    return tf.ensure_shape(outputs, [*inputs.shape[:-2], num_parallel, units])


def _product(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """All products; the leading axes become one, R. [..., G, N] -> [R, S * U]"""
    # Letters: g input, p map of that input; S = G * P.
    groups, width = inputs.shape[-2:]
    num_parallel, _, units = kernel.shape
    if groups == 1:  # one wide matrix product instead of S small ones
        kernel = tf.reshape(tf.transpose(kernel, [1, 0, 2]), [width, -1])  # [N, S * U]
        return tf.matmul(tf.reshape(inputs, [-1, width]), kernel)
    kernel = tf.reshape(kernel, [groups, -1, width, units])  # [G, P, N, U]
    kernel = tf.reshape(tf.transpose(kernel, [0, 2, 1, 3]), [groups, width, -1])
    rows = tf.transpose(tf.reshape(inputs, [-1, groups, width]), [1, 0, 2])  # [G, R, N]
    outputs = tf.transpose(tf.matmul(rows, kernel), [1, 0, 2])  # [R, G, P * U]
    return tf.reshape(outputs, [-1, num_parallel * units])
