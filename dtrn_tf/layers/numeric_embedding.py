"""Embeddings of numbers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class NumericEmbedding(tf.keras.layers.Layer):
    """Makes one field of every numeric feature: e_f = x_f * w_f + b_f.

    Args:
        width: D, the width of every field.

    Inputs: [B, F], normalised numbers.
    Outputs: [B, F, D].

    Raises:
        ValueError: `width` is out of range.

    Example:
        >>> NumericEmbedding(width=5)(tf.ones([2, 3])).shape
        TensorShape([2, 3, 5])
    """

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.width = check_whole(width, 1, "width")

    def build(self, input_shape: Any) -> None:
        shape = (input_shape[-1], self.width)
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=tf.keras.initializers.RandomUniform(-0.05, 0.05),
        )
        self.bias = self.add_weight(
            name="bias", shape=shape, initializer=tf.keras.initializers.RandomUniform(-0.05, 0.05)
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs[..., tf.newaxis] * self.kernel + self.bias  # [B, F, D]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}
