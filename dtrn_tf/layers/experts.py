"""The weighted sum of expert outputs."""

from __future__ import annotations

import tensorflow as tf


def mix(gates: tf.Tensor, experts: tf.Tensor) -> tf.Tensor:
    """Sums expert outputs with one set of gate values per task.

    Args:
        gates: [B, K, E].
        experts: [B, J, E, U]; J = 1 if all tasks share the expert outputs, otherwise K.

    Returns:
        [B, K, U].

    Example:
        >>> experts = tf.constant([[[[1.0], [10.0]]]])
        >>> mix(tf.constant([[[0.5, 0.5], [0.0, 1.0]]]), experts).numpy().tolist()
        [[[5.5], [10.0]]]
    """
    # A product and a sum, faster than the matrix products of one row and task each.
    return tf.reduce_sum(gates[..., tf.newaxis] * experts, axis=2)
