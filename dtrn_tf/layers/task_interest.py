"""TIM: the task-specific interests of a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_one_of, check_rate, check_units, check_whole
from dtrn_tf.layers.candidate_rows import CandidateRows
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.conditional_layer_normalization import scale_and_shift
from dtrn_tf.layers.conditional_transformer import ConditionalTransformer
from dtrn_tf.layers.hypernetwork import Hypernetwork
from dtrn_tf.layers.mean_pooling import MeanPooling
from dtrn_tf.layers.sequences import tokens_and_sequences
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

    Inputs: list of T sequences, each a RaggedTensor [R, (L), D], or dense [R, L, D] with a mask in
        the list of T masks [R, L] bool (L may differ between behaviour types). Ragged ones cost
        what their events cost; dense ones have static shapes, as XLA needs. For pooling "target"
        only: target [B, D], the candidates, and request_index [B], sorted, the row of `inputs` of
        each candidate; without it R = B. tasks: those to compute, all by default (one interest
        for all tasks, K = 1, stays); K is then their number.
    Outputs: interests [R, K, T, D]; with pooling "target" [B, K, T, D].

    Masking: padding changes nothing; an empty sequence gives a learned vector per (k, t).

    Raises:
        ValueError: An argument is out of range, there is not one mask per dense sequence, or
            pooling is "target" and no target was given.

    Example:
        >>> layer = TaskInterest(num_tasks=3)
        >>> clicked = tf.RaggedTensor.from_row_lengths(tf.ones([7, 5]), [7, 0])
        >>> bought = tf.RaggedTensor.from_row_lengths(tf.ones([4, 5]), [1, 3])
        >>> layer([clicked, bought]).shape
        TensorShape([2, 3, 2, 5])
        >>> layer([tf.ones([2, 7, 5])] * 2, masks=[tf.ones([2, 7], tf.bool)] * 2).shape
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
        # Attention pads groups of similar length; a server with one request has nothing to pad.
        self.groups_sequences = True

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
        pool = TargetAttentionPooling if self.pooling == "target" else MeanPooling
        self.pool = pool(dtype=self.dtype_policy)
        self.pool.build((None, self.num_tasks, width))
        super().build(input_shape)

    def _embeddings(self, name: str, shape: tuple[int, ...], stddev: float) -> Any:
        initializer = tf.keras.initializers.RandomNormal(stddev=stddev)
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def call(
        self,
        inputs: Sequence[tf.Tensor | tf.RaggedTensor],
        masks: Sequence[tf.Tensor | None] | None = None,
        target: tf.Tensor | None = None,
        request_index: tf.Tensor | None = None,
        training: bool | None = None,
        tasks: Sequence[int] | None = None,
    ) -> tf.Tensor:
        masks = [None] * len(inputs) if masks is None else masks
        self._check(inputs, masks, target)
        tasks = tasks if self.num_tasks > 1 else None
        gamma, beta = self.hypernetwork(
            [chosen(self.task_embeddings, tasks), tf.convert_to_tensor(self.behavior_embeddings)]
        )  # [K, T, I, D]
        no_history = chosen(self.no_history, tasks)  # [K, T, D]
        packed = [tokens_and_sequences(x, mask, self.groups_sequences)
                  for x, mask in zip(inputs, masks)]
        by_candidate = self.pooling == "target"
        rows = CandidateRows(request_index if by_candidate else None, packed[0][1].num_sequences)
        queries = rows.group(target) if by_candidate else None  # [R, M, D]
        interests = []
        for t, (tokens, sequences) in enumerate(packed):
            normalized = self.transformer(
                tokens, sequences=sequences, gamma=gamma[:, t], beta=beta[:, t],
                training=training,
            )  # [N, K, D]
            # The weights of pooling sum to 1: the last normalization's scale and shift come after.
            scale, shift = gamma[:, t, -1], beta[:, t, -1]  # [K, D]
            if by_candidate:
                pooled = self.pool(
                    normalized, sequences=sequences, queries=queries, gamma=scale
                )  # [R, M, K, D]
            else:
                pooled = self.pool(normalized, sequences=sequences)[:, tf.newaxis]  # [R, 1, K, D]
            interest = scale_and_shift(pooled, scale, shift)  # [R, M, K, D]
            has_history = tf.reshape(sequences.lengths > 0, [-1, 1, 1, 1])
            interests.append(tf.where(has_history, interest, no_history[:, t]))
        return rows.ungroup(tf.stack(interests, axis=3))  # [B, K, T, D]

    def _check(
        self, inputs: Sequence[Any], masks: Sequence[Any], target: tf.Tensor | None
    ) -> None:
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

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        return [self.task_embeddings, self.no_history] if self.num_tasks > 1 else []

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
