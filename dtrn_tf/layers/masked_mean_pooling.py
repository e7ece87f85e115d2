"""Mean over the events of a sequence."""

from __future__ import annotations

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class MaskedMeanPooling(tf.keras.layers.Layer):
    """Averages the positions that the mask keeps.

    Inputs: values [B, L, J, D] with J = 1 or K; mask [B, L] bool.
    Outputs: [B, J, D].

    Masking: padding changes nothing; a row without any event gives zeros.

    Example:
        >>> values = tf.constant([[[[2.0]], [[4.0]], [[9.0]]]])
        >>> MaskedMeanPooling()(values, tf.constant([[True, True, False]])).numpy().tolist()
        [[[3.0]]]
    """

    def call(self, inputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        counts = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)
        counts = tf.cast(tf.maximum(counts, 1), inputs.dtype)
        weights = tf.cast(mask, inputs.dtype) / counts  # [B, L]
        return tf.einsum("bljd,bl->bjd", inputs, weights)  # [B, J, D]
