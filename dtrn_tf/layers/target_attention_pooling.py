"""Attention of candidates over the events of a sequence."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.last_axis import on_last_axis
from dtrn_tf.layers.precision import at_least_float32
from dtrn_tf.layers.sequences import Sequences


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class TargetAttentionPooling(tf.keras.layers.Layer):
    """Averages the tokens of each sequence by their relevance to a candidate.

    a = softmax_l((q W * gamma) . x_l / sqrt(D)), y = sum_l a_l x_l, with a candidate's embedding q.
    The keys gamma * x_l + beta need neither a matrix of their own, which would only multiply W,
    nor beta, which moves all scores alike.

    Inputs: values x [N, J, D] with J = 1 or K, the tokens of `sequences`; queries [S, M, D], of M
        candidates for each sequence; gamma [J, D].
    Outputs: [S, M, J, D].

    Masking: padding changes nothing; a sequence without any event gives zeros.

    Example:
        >>> from dtrn_tf.layers.sequences import PackedSequences
        >>> layer, sequences = TargetAttentionPooling(), PackedSequences(tf.constant([0, 2, 2]))
        >>> layer(tf.ones([2, 1, 5]), sequences=sequences, queries=tf.ones([2, 3, 5]),
        ...       gamma=tf.ones([1, 5])).shape
        TensorShape([2, 3, 1, 5])

    References:
        Deep Interest Network for Click-Through Rate Prediction, arXiv 1706.06978 (the use of a
        candidate as the query); here with scaled dot products and softmax.
    """

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.query = tf.keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy)
        self.query.build((None, width))
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, sequences: Sequences, queries: tf.Tensor, gamma: tf.Tensor
    ) -> tf.Tensor:
        views, width = inputs.shape[1:]
        queries = on_last_axis(self.query, queries)[:, :, tf.newaxis]  # [S, M, 1, D]
        queries *= tf.cast(gamma, queries.dtype) * width ** -0.5  # [S, M, J, D]
        groups = sequences.groups(tf.reshape(inputs, [-1, views * width]))
        return sequences.join([_attend(x, mask, q)
                               for (x, mask), q in zip(groups, sequences.split(queries))])


def _attend(values: tf.Tensor, mask: tf.Tensor, queries: tf.Tensor) -> tf.Tensor:
    """[S, L, J * D], [S, L], [S, M, J, D] -> [S, M, J, D]"""
    views, width = queries.shape[2:]
    shape = tf.concat([tf.shape(mask), [views, width]], 0)
    values = tf.transpose(tf.reshape(values, shape), [0, 2, 1, 3])  # [S, J, L, D]
    queries = tf.transpose(queries, [0, 2, 1, 3])  # [S, J, M, D]
    scores = at_least_float32(tf.matmul(queries, values, transpose_b=True))
    mask = mask[:, tf.newaxis, tf.newaxis, :]  # [S, 1, 1, L]
    weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))  # [S, J, M, L]
    # Zero where a sequence has no event at all: there the softmax is uniform.
    weights = tf.cast(tf.where(mask, weights, tf.zeros_like(weights)), values.dtype)
    return tf.transpose(tf.matmul(weights, values), [0, 2, 1, 3])
