"""AITM: what a task has learned is handed on to the next task of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_mlp import ParallelMLP


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class AITM(tf.keras.layers.Layer):
    """Adaptive information transfer multi-task network, for tasks that follow each other.

    With q_k = MLP_k(x_k): z_1 = q_1, and z_k is attention over two vectors u, the task's own q_k
    and p_k = relu(z_(k-1) G_k + g_k), which the task before hands on (equations 3 to 6):

    z_k = sum_u w_u V_k u, with w = softmax over u of <K_k u, Q_k u> / sqrt(U).

    The paper's other part, a loss for probabilities that rise along the chain, is
    `OrderCalibrator`.

    Args:
        num_tasks: K; task k + 1 can happen only after task k.
        units: Width of every layer of a task's perceptron.
        dropout: Dropout rate after every layer of a perceptron.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> AITM(num_tasks=3, units=[11, 5])(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        Modeling the Sequential Dependence among Audience Multi-step Conversions with Multi-task
        Learning in Targeted Display Advertising, KDD 2021, arXiv 2105.08489.
    """

    def __init__(
        self, num_tasks: int, units: Sequence[int], dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.units = check_units(units, "units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        width = self.units[-1]
        self.bottoms = ParallelMLP(
            self.num_tasks, self.units, self.dropout_rate, dtype=self.dtype_policy
        )
        self.bottoms.build(input_shape)
        self.handovers = [
            ParallelDense(1, width, "relu", dtype=self.dtype_policy) for _ in self._later_tasks
        ]
        # Value, key and query of each later task.
        self.attentions = [
            ParallelDense(3, width, use_bias=False, dtype=self.dtype_policy)
            for _ in self._later_tasks
        ]
        for handover, attention in zip(self.handovers, self.attentions):
            handover.build((None, 1, width))
            attention.build((None, 2, 1, width))
        super().build(input_shape)

    @property
    def _later_tasks(self) -> range:
        return range(1, self.num_tasks)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        tasks = range(self.num_tasks) if tasks is None else tasks
        first = self.input_tasks(tasks)
        own = self.bottoms(inputs, training=training, tasks=first)  # [B, K, U]
        own = tf.split(own, len(first), axis=1)
        outputs = own[:1]  # [B, 1, U] each
        # The one loop over tasks: each needs the result of the task before.
        for vector, handover, attention in zip(own[1:], self.handovers, self.attentions):
            pair = tf.concat([vector, handover(outputs[-1])], axis=1)  # [B, 2, U]
            outputs.append(_attend(attention(pair[:, :, tf.newaxis])))
        return tf.concat([outputs[task] for task in tasks], axis=1)  # [B, K, U]

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        # Every task hands on to the next one but the last.
        last = [*self.handovers[-1:], *self.attentions[-1:]]
        return [weight for layer in last for weight in layer.trainable_weights]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need: these and all before them."""
        return range(max(tasks) + 1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], self.num_tasks, self.units[-1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "units": list(self.units),
            "dropout": self.dropout_rate,
        }


def _attend(projected: tf.Tensor) -> tf.Tensor:
    """Every vector's weight comes from its own key and query. [B, 2, 3, U] -> [B, 1, U]"""
    value, key, query = tf.unstack(projected, axis=2)  # [B, 2, U] each
    scores = tf.reduce_sum(key * query, axis=-1, keepdims=True) * value.shape[-1] ** -0.5
    return tf.reduce_sum(tf.nn.softmax(scores, axis=1) * value, axis=1, keepdims=True)
