"""TIM: the task-specific interests of a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_one_of, check_rate, check_units, check_whole
from dtrn_tf.layers.conditional_transformer import ConditionalTransformer
from dtrn_tf.layers.hypernetwork import Hypernetwork
from dtrn_tf.layers.masked_mean_pooling import MaskedMeanPooling
from dtrn_tf.layers.target_attention_pooling import TargetAttentionPooling


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class TaskInterest(tf.keras.layers.Layer):
    """Task-specific interest module (TIM of DTRN): one interest per task and behaviour type.

    interest_kt = pool(Transformer(sequence_t; gamma(k, t), beta(k, t))), with one Transformer for
    all and gamma, beta from a hypernetwork over task and behaviour embeddings of width D.

    Args:
        num_tasks: K; 1 gives the task-agnostic Transformer.
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer of every block.
        num_blocks: Number of Transformer blocks.
        pooling: "mean" or "target" (attention with the candidate as the query).
        initialization: "free" or "identity", see `Hypernetwork`.
        dropout: Dropout rate inside the Transformer.
        hypernetwork_units: Widths of the hypernetwork's hidden layers.

    Inputs: list of T sequences [B, L, D] (L may differ between behaviour types); list of T masks
        [B, L] bool; target [B, D], the candidate, for pooling "target" only.
    Outputs: interests [B, K, T, D].

    Masking: padding changes nothing; an empty sequence gives a learned vector per (k, t).

    Raises:
        ValueError: An argument is out of range, there is not one mask per sequence, or pooling
            is "target" and no target was given.

    Example:
        >>> layer = TaskInterest(num_tasks=3)
        >>> sequences = [tf.ones([2, 7, 5]), tf.ones([2, 11, 5])]
        >>> layer(sequences, [tf.ones([2, 7], tf.bool), tf.zeros([2, 11], tf.bool)]).shape
        TensorShape([2, 3, 2, 5])

    References:
        Deep Task-specific Bottom Representation Network for Multi-Task Recommendation,
        arXiv 2308.05996.
    """

    def __init__(
        self,
        num_tasks: int,
        num_heads: int = 1,
        feedforward_units: int = 32,
        num_blocks: int = 1,
        pooling: str = "mean",
        initialization: str = "free",
        dropout: float = 0.0,
        hypernetwork_units: Sequence[int] = (32,),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.num_heads = check_whole(num_heads, 1, "num_heads")
        self.feedforward_units = check_whole(feedforward_units, 1, "feedforward_units")
        self.num_blocks = check_whole(num_blocks, 1, "num_blocks")
        self.pooling = check_one_of(pooling, ("mean", "target"), "pooling")
        self.initialization = check_one_of(initialization, ("free", "identity"), "initialization")
        self.dropout_rate = check_rate(dropout, "dropout")
        self.hypernetwork_units = check_units(
            hypernetwork_units, "hypernetwork_units", allow_empty=True
        )

    def build(self, input_shape: Any) -> None:
        num_behaviors, width = len(input_shape), input_shape[0][-1]
        self.task_embeddings = self._embeddings("tasks", (self.num_tasks, width), 1.0)
        self.behavior_embeddings = self._embeddings("behaviors", (num_behaviors, width), 1.0)
        self.no_history = self._embeddings(
            "no_history", (self.num_tasks, num_behaviors, width), 0.05
        )
        self.hypernetwork = Hypernetwork(
            2 * self.num_blocks,
            width,
            self.hypernetwork_units,
            self.initialization,
            dtype=self.dtype_policy,
        )
        self.hypernetwork.build([(self.num_tasks, width), (num_behaviors, width)])
        self.transformer = ConditionalTransformer(
            self.num_blocks,
            self.num_heads,
            self.feedforward_units,
            self.dropout_rate,
            dtype=self.dtype_policy,
        )
        self.transformer.build((None, None, width))
        pool = TargetAttentionPooling if self.pooling == "target" else MaskedMeanPooling
        self.pool = pool(dtype=self.dtype_policy)
        self.pool.build((None, None, self.num_tasks, width))
        super().build(input_shape)

    def _embeddings(self, name: str, shape: tuple[int, ...], stddev: float) -> Any:
        initializer = tf.keras.initializers.RandomNormal(stddev=stddev)
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def call(
        self,
        inputs: Sequence[tf.Tensor],
        masks: Sequence[tf.Tensor],
        target: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        self._check(inputs, masks, target)
        gamma, beta = self.hypernetwork(
            [tf.convert_to_tensor(self.task_embeddings),
             tf.convert_to_tensor(self.behavior_embeddings)]
        )  # [K, T, I, D]
        no_history = tf.convert_to_tensor(self.no_history)  # [K, T, D]
        interests = []
        for t, (sequence, mask) in enumerate(zip(inputs, masks)):
            encoded = self.transformer(
                sequence, mask, gamma[:, t], beta[:, t], training=training
            )  # [B, L, K, D]
            query = [target] if self.pooling == "target" else []
            pooled = self.pool(encoded, mask, *query)  # [B, K, D]
            has_history = tf.reduce_any(mask, axis=1)[:, tf.newaxis, tf.newaxis]  # [B, 1, 1]
            interests.append(tf.where(has_history, pooled, no_history[:, t]))
        return tf.stack(interests, axis=2)  # [B, K, T, D]

    def _check(self, inputs: Sequence[Any], masks: Sequence[Any], target: Any) -> None:
        if len(inputs) != len(masks):
            raise ValueError(
                "There should be one mask per sequence. "
                f"Received: {len(inputs)} sequences and {len(masks)} masks."
            )
        if self.pooling == "target" and target is None:
            raise ValueError(
                "`target` should be the candidate's embedding, since pooling='target'. "
                "Received: None."
            )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_heads": self.num_heads,
            "feedforward_units": self.feedforward_units,
            "num_blocks": self.num_blocks,
            "pooling": self.pooling,
            "initialization": self.initialization,
            "dropout": self.dropout_rate,
            "hypernetwork_units": list(self.hypernetwork_units),
        }
