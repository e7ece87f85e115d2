"""One task-agnostic Transformer on padded sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from benchmarks.plain_transformer_block import EPSILON, PlainTransformerBlock, masked_mean

keras = tf.keras
Tensor = Any


class PaddedTransformer(keras.layers.Layer):  # type: ignore[name-defined]
    """One task-agnostic Transformer for all tasks and behaviour types, on padded sequences.

    Called as `TaskInterest`: sequences, masks, target -> interests [B, 1, T, D].

    Args:
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer of every block.
        num_blocks: Number of blocks.
    """

    num_tasks = 1
    pooling = "mean"

    def __init__(self, num_heads: int, feedforward_units: int, num_blocks: int = 1,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [PlainTransformerBlock(num_heads, feedforward_units)
                       for _ in range(num_blocks)]
        self.normalizations = [
            [keras.layers.LayerNormalization(epsilon=EPSILON) for _ in range(2)]
            for _ in self.blocks]

    def build(self, input_shape: Any) -> None:
        for block, normalizations in zip(self.blocks, self.normalizations):
            for layer in (block, *normalizations):
                layer.build(input_shape[0])
        super().build(input_shape)

    def call(self, inputs: Sequence[Tensor], masks: Sequence[Tensor],
             target: Tensor | None = None, training: bool | None = None) -> Tensor:
        pooled = [masked_mean(self._encode(sequence, mask), mask)
                  for sequence, mask in zip(inputs, masks)]
        return tf.stack(pooled, axis=1)[:, tf.newaxis]  # [B, 1, T, D]

    def _encode(self, outputs: Tensor, mask: Tensor) -> Tensor:
        for block, normalizations in zip(self.blocks, self.normalizations):
            outputs = block(outputs, mask, normalizations=normalizations)
        return outputs
