"""Attention between the events of a sequence."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.precision import at_least_float32
from dtrn_tf.layers.sequences import Sequences


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class SelfAttention(tf.keras.layers.Layer):
    """Multi-head self-attention within sequences, for every task's representation on its own.

    y = [softmax_m(q_l . k_m / sqrt(D / H)) v_m]_heads W_o + b_o,
    with q, k, v = x W_q, x W_k, x W_v.

    Args:
        num_heads: H; divides D.

    Inputs: x [N, J, D], the tokens of `sequences`.
    Outputs: [N, J, D].

    Masking: no token looks at padding; values of padding are finite.

    Raises:
        ValueError: `num_heads` is out of range or does not divide D.

    Example:
        >>> from dtrn_tf.layers.sequences import PackedSequences
        >>> layer = SelfAttention(num_heads=2)
        >>> layer(tf.ones([4, 1, 6]), sequences=PackedSequences(tf.constant([0, 3, 4]))).shape
        TensorShape([4, 1, 6])

    References:
        Attention Is All You Need, arXiv 1706.03762, section 3.2.
    """

    def __init__(self, num_heads: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = check_whole(num_heads, 1, "num_heads")

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"`num_heads` should divide the width {width} of the input. "
                f"Received: {self.num_heads}."
            )
        # Without bias: that of the keys would never change the softmax.
        self.projections = ParallelDense(
            3, width, use_bias=False, dtype=self.dtype_policy
        )
        self.projections.build((None, 1, width))
        self.output_projection = tf.keras.layers.Dense(width, dtype=self.dtype_policy)
        self.output_projection.build((None, width))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, sequences: Sequences) -> tf.Tensor:
        views, width = inputs.shape[1:]
        flat = tf.reshape(inputs, [-1, 1, width])  # [N * J, 1, D]
        projected = tf.reshape(self.projections(flat), [-1, views * 3 * width])
        heads = [self._attend(values, mask, views)
                 for values, mask in sequences.groups(projected)]  # of [S', L', J * D]
        outputs = self.output_projection(tf.reshape(sequences.tokens(heads), [-1, width]))
        return tf.reshape(outputs, [-1, views, width])  # [N, J, D]

    def _attend(self, projected: tf.Tensor, mask: tf.Tensor, views: int) -> tf.Tensor:
        """[S, L, J * 3 * D] -> [S, L, J * D]"""
        num_rows, length = tf.unstack(tf.shape(mask))
        width = projected.shape[-1] // (views * 3)
        parts = tf.reshape(projected, [num_rows, length, views, 3, self.num_heads,
                                       width // self.num_heads])
        # Letters: c is the width D / H of a head.
        parts = tf.transpose(parts, [3, 0, 2, 4, 1, 5])
        queries, keys, values = tf.unstack(parts)  # [S, J, H, L, c]
        scale = queries.shape[-1] ** -0.5
        scores = at_least_float32(tf.matmul(queries * scale, keys, transpose_b=True))
        mask = mask[:, tf.newaxis, tf.newaxis, tf.newaxis, :]  # [S, 1, 1, 1, L]
        weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))  # [S, J, H, L, L]
        heads = tf.matmul(tf.cast(weights, values.dtype), values)  # [S, J, H, L, c]
        heads = tf.transpose(heads, [0, 3, 1, 2, 4])
        return tf.reshape(heads, [num_rows, length, views * width])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}
