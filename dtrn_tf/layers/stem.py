"""STEM: every task has embeddings of its own beside the shared ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.experts import mix
from dtrn_tf.layers.gate_record import noted
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_mlp import ParallelMLP


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class STEM(tf.keras.layers.Layer):
    """Shared and task-specific embeddings, with all forward, task-specific backward gates.

    Each field of the input is K + 1 slices wide: one embedding of every task, x_1 .. x_K, and a
    shared one, s. The experts of a task see its own embeddings, the shared experts s, and

    y_k = sum_e softmax((x_k + s) W_k)_e E_e over the experts of all tasks and the shared ones,

    where gradients stop at the experts of other tasks: task k reads what they have learned, and
    trains only its own embeddings and the shared ones.

    Args:
        num_tasks: K.
        num_task_experts: Experts of every task.
        num_shared_experts: Experts on the shared embeddings.
        units: Width of every layer of an expert.
        slice_width: D, the width of one embedding: a field is (K + 1) * D wide.
        dropout: Dropout rate after every layer of an expert.

    Inputs: [B, 1, N] with N = F * (K + 1) * D.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range, or the input is not made of such fields.

    Example:
        >>> layer = STEM(2, num_task_experts=2, num_shared_experts=1, units=[5], slice_width=4)
        >>> layer(tf.ones([3, 1, 7 * 3 * 4])).shape
        TensorShape([3, 2, 5])

    References:
        STEM: Unleashing the Power of Embeddings for Multi-task Recommendation, AAAI 2024,
        arXiv 2308.13537.
    """

    def __init__(
        self,
        num_tasks: int,
        num_task_experts: int,
        num_shared_experts: int,
        units: Sequence[int],
        slice_width: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.num_task_experts = check_whole(num_task_experts, 1, "num_task_experts")
        self.num_shared_experts = check_whole(num_shared_experts, 1, "num_shared_experts")
        self.units = check_units(units, "units")
        self.slice_width = check_whole(slice_width, 1, "slice_width")
        self.dropout_rate = check_rate(dropout, "dropout")

    @property
    def num_slices(self) -> int:
        """K + 1, the number of embeddings of every id."""
        return self.num_tasks + 1

    def build(self, input_shape: Any) -> None:
        _, views, width = input_shape
        num_own, num_slices = self.num_tasks * self.num_task_experts, self.num_slices
        if views != 1 or width % (num_slices * self.slice_width):
            raise ValueError(
                "Input should be one representation for all tasks, of fields with "
                f"{num_slices} slices of width {self.slice_width}: [B, 1, "
                f"F * {num_slices * self.slice_width}]. Received: shape {tuple(input_shape)}."
            )
        width //= num_slices
        self.task_experts = ParallelMLP(
            num_own, self.units, self.dropout_rate, dtype=self.dtype_policy
        )
        self.task_experts.build((None, self.num_tasks, width))
        self.shared_experts = ParallelMLP(
            self.num_shared_experts, self.units, self.dropout_rate, dtype=self.dtype_policy
        )
        self.shared_experts.build((None, 1, width))
        self.gates = ParallelDense(
            self.num_tasks,
            num_own + self.num_shared_experts,
            "softmax",
            use_bias=False,
            dtype=self.dtype_policy,
        )
        self.gates.build((None, self.num_tasks, width))
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        slices, shared = self._slices(inputs)
        own = self.task_experts(slices, training=training)[:, tf.newaxis]  # [B, 1, K * E, U]
        common = self.shared_experts(shared, training=training)[:, tf.newaxis]  # [B, 1, E', U]
        own_gates, shared_gates = tf.split(
            noted(self.gates(chosen(slices + shared, tasks, axis=1), parts=tasks), "tasks"),
            [own.shape[2], common.shape[2]],
            axis=-1,
        )  # [B, K, K * E], [B, K, E']
        mine = tf.repeat(tf.eye(self.num_tasks, dtype=own.dtype), self.num_task_experts, axis=1)
        mine = chosen(mine, tasks)
        return (
            mix(own_gates * mine, own)
            + mix(own_gates * (1 - mine), tf.stop_gradient(own))
            + mix(shared_gates, common)
        )  # [B, K, U]

    def _slices(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Embeddings of tasks, shared ones. [B, 1, N] -> [B, K, F * D], [B, 1, F * D]"""
        width = inputs.shape[-1] // self.num_slices
        num_fields = width // self.slice_width
        slices = tf.reshape(inputs, [-1, num_fields, self.num_slices, self.slice_width])
        slices = tf.reshape(tf.transpose(slices, [0, 2, 1, 3]), [-1, self.num_slices, width])
        return tf.split(slices, [self.num_tasks, 1], axis=1)

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        # Other tasks see a task's experts, but do not train them.
        return [*self.task_experts.trainable_weights, *self.gates.trainable_weights]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need: a gate reads all experts."""
        return range(self.num_tasks)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], self.num_tasks, self.units[-1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_task_experts": self.num_task_experts,
            "num_shared_experts": self.num_shared_experts,
            "units": list(self.units),
            "slice_width": self.slice_width,
            "dropout": self.dropout_rate,
        }
