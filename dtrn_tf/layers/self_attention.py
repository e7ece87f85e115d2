"""Attention between the events of a sequence."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole
from dtrn_tf.layers.last_axis import on_last_axis
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.precision import at_least_float32


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class SelfAttention(tf.keras.layers.Layer):
    """Multi-head self-attention over positions, for every task's representation on its own.

    y = [softmax_m(q_l . k_m / sqrt(D / H)) v_m]_heads W_o + b_o,
    with q, k, v = x W_q, x W_k, x W_v.

    Args:
        num_heads: H; divides D.

    Inputs: x [B, L, J, D]; mask [B, L] bool.
    Outputs: [B, L, J, D].

    Masking: no position looks at padding; values at padding positions are finite.

    Raises:
        ValueError: `num_heads` is out of range or does not divide D.

    Example:
        >>> layer = SelfAttention(num_heads=2)
        >>> layer(tf.ones([2, 3, 1, 6]), tf.constant([[True] * 3, [False] * 3])).shape
        TensorShape([2, 3, 1, 6])

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
        self.projections.build((None, None, None, 1, width))
        self.output_projection = tf.keras.layers.Dense(width, dtype=self.dtype_policy)
        self.output_projection.build((None, width))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        projected = self.projections(inputs[..., tf.newaxis, :])  # [B, L, J, 3, D]
        queries, keys, values = (self._split(x) for x in tf.unstack(projected, axis=-2))
        # Letters: m is the position looked at, c the width D / H of a head.
        scale = queries.shape[-1] ** -0.5
        scores = at_least_float32(tf.einsum("bljhc,bmjhc->bjhlm", queries * scale, keys))
        mask = mask[:, tf.newaxis, tf.newaxis, tf.newaxis, :]  # [B, 1, 1, 1, L]
        weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))  # [B, J, H, L, L]
        heads = tf.einsum("bjhlm,bmjhc->bljhc", tf.cast(weights, values.dtype), values)
        heads = tf.reshape(heads, tf.shape(inputs))  # [B, L, J, D]
        return on_last_axis(self.output_projection, tf.ensure_shape(heads, inputs.shape))

    def _split(self, inputs: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(inputs)
        tasks, width = inputs.shape[2:]
        return tf.reshape(
            inputs, [shape[0], shape[1], tasks, self.num_heads, width // self.num_heads]
        )  # [B, L, J, H, C]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads}
