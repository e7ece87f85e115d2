"""The Transformer that DTRN is measured against: padded sequences, layers of Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

keras = tf.keras
Tensor = Any

EPSILON = 1e-6


class PlainTransformerBlock(keras.layers.Layer):  # type: ignore[name-defined]
    """Post-LN Transformer block of Keras layers; the normalizations are the caller's.

    Args:
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer.

    Inputs: x [B, L, D]; mask [B, L] bool; two functions that normalize.
    Outputs: [B, L, D].
    """

    def __init__(self, num_heads: int, feedforward_units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.feedforward_units = feedforward_units

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.attention = keras.layers.MultiHeadAttention(self.num_heads, width // self.num_heads)
        self.attention.build(input_shape, input_shape)
        self.hidden = keras.layers.Dense(self.feedforward_units, activation="relu")
        self.hidden.build(input_shape)
        self.projection = keras.layers.Dense(width)
        self.projection.build((*input_shape[:-1], self.feedforward_units))
        super().build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor,
             normalizations: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
        first, second = normalizations
        attended = self.attention(inputs, inputs, attention_mask=mask[:, tf.newaxis])
        attended = first(inputs + attended)
        return second(attended + self.projection(self.hidden(attended)))


def masked_mean(inputs: Tensor, mask: Tensor) -> Tensor:
    """Mean over the events of a sequence, zeros if there are none. [B, L, D] -> [B, D]

    >>> masked_mean(tf.constant([[[2.0], [4.0], [9.0]]]),
    ...             tf.constant([[True, True, False]])).numpy().tolist()
    [[3.0]]
    """
    weights = tf.cast(mask, inputs.dtype)[..., tf.newaxis]  # [B, L, 1]
    return (tf.reduce_sum(inputs * weights, axis=1)
            / tf.maximum(tf.reduce_sum(weights, axis=1), 1))
