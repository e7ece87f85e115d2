"""Attention of a candidate over the events of a sequence."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.precision import at_least_float32


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class TargetAttentionPooling(tf.keras.layers.Layer):
    """Averages the positions by their relevance to the candidate.

    a = softmax_l((q W) . x_l / sqrt(D)), y = sum_l a_l x_l, with the candidate's embedding q. The
    keys need no matrix of their own: it would only multiply W.

    Inputs: values [B, L, J, D] with J = 1 or K; mask [B, L] bool; query [B, D].
    Outputs: [B, J, D].

    Masking: padding changes nothing; a row without any event gives zeros.

    Example:
        >>> layer = TargetAttentionPooling()
        >>> mask = tf.constant([[True, True, False], [False, False, False]])
        >>> layer(tf.ones([2, 3, 1, 5]), mask, tf.ones([2, 5])).numpy()[:, 0, 0].tolist()
        [1.0, 0.0]

    References:
        Deep Interest Network for Click-Through Rate Prediction, arXiv 1706.06978 (the use of a
        candidate as the query); here with scaled dot products and softmax.
    """

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.query = tf.keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy)
        self.query.build((None, width))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, mask: tf.Tensor, query: tf.Tensor) -> tf.Tensor:
        query = self.query(query) * inputs.shape[-1] ** -0.5
        scores = at_least_float32(tf.einsum("bd,bljd->bjl", query, inputs))
        mask = mask[:, tf.newaxis, :]  # [B, 1, L]
        weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))  # [B, J, L]
        # Zero where a row has no event at all: there the softmax is uniform.
        weights = tf.where(mask, weights, tf.zeros_like(weights))
        return tf.einsum("bjl,bljd->bjd", tf.cast(weights, inputs.dtype), inputs)  # [B, J, D]
