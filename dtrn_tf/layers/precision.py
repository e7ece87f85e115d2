"""Where mixed precision would lose too much."""

from __future__ import annotations

import tensorflow as tf


def at_least_float32(inputs: tf.Tensor) -> tf.Tensor:
    """Casts 16-bit floats to float32: moments and softmax lose too much in them.

    >>> at_least_float32(tf.constant([1.0], tf.bfloat16)).dtype
    tf.float32
    >>> at_least_float32(tf.constant([1.0], tf.float64)).dtype
    tf.float64
    """
    return tf.cast(inputs, tf.float32) if inputs.dtype.size < 4 else inputs
