"""TIM by its definition, one encoder after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from benchmarks.plain_transformer_block import EPSILON, PlainTransformerBlock, masked_mean
from dtrn_tf.layers import Hypernetwork

keras = tf.keras
Tensor = Any


class PlainLoop(keras.layers.Layer):  # type: ignore[name-defined]
    """TIM by its definition: one padded encoder per task and behaviour type, one after the other.

    The weights and values of `TaskInterest` with mean pooling and the "free" initialization.

    Args:
        num_tasks: K.
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer of every block.
        num_blocks: Number of blocks.
    """

    pooling = "mean"

    def __init__(self, num_tasks: int, num_heads: int, feedforward_units: int,
                 num_blocks: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.blocks = [PlainTransformerBlock(num_heads, feedforward_units)
                       for _ in range(num_blocks)]
        self.normalize = keras.layers.LayerNormalization(
            epsilon=EPSILON, center=False, scale=False)

    def build(self, input_shape: Any) -> None:
        shape, count = input_shape[0], len(input_shape)
        width = shape[-1]
        self.task_embeddings = self._embeddings("tasks", (self.num_tasks, width), 1.0)
        self.behavior_embeddings = self._embeddings("behaviors", (count, width), 1.0)
        self.no_history = self._embeddings("no_history", (self.num_tasks, count, width), 0.05)
        self.hypernetwork = Hypernetwork(2 * len(self.blocks), width, (32,))
        self.hypernetwork.build([(self.num_tasks, width), (count, width)])
        for layer in (*self.blocks, self.normalize):
            layer.build(shape)
        super().build(input_shape)

    def _embeddings(self, name: str, shape: tuple[int, ...], stddev: float) -> Any:
        return self.add_weight(name=name, shape=shape,
                               initializer=keras.initializers.RandomNormal(stddev=stddev))

    def call(self, inputs: Sequence[Tensor], masks: Sequence[Tensor],
             target: Tensor | None = None, training: bool | None = None) -> Tensor:
        gamma, beta = self.hypernetwork(
            [tf.convert_to_tensor(self.task_embeddings),
             tf.convert_to_tensor(self.behavior_embeddings)])  # [K, T, I, D]
        no_history = tf.convert_to_tensor(self.no_history)  # [K, T, D]
        return tf.stack([
            tf.stack([self._interest(sequence, mask, gamma[k, t], beta[k, t], no_history[k, t])
                      for t, (sequence, mask) in enumerate(zip(inputs, masks))], axis=1)
            for k in range(self.num_tasks)], axis=1)  # [B, K, T, D]

    def _interest(self, outputs: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor,
                  no_history: Tensor) -> Tensor:
        """One encoder. [B, L, D], ..., gamma and beta [I, D] -> [B, D]"""
        for i, block in enumerate(self.blocks):
            outputs = block(outputs, mask, normalizations=[
                lambda x, n=n: gamma[n] * self.normalize(x) + beta[n] for n in (2 * i, 2 * i + 1)])
        has_history = tf.reduce_any(mask, axis=1, keepdims=True)  # [B, 1]
        return tf.where(has_history, masked_mean(outputs, mask), no_history)
