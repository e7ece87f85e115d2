"""MMoE: shared experts with one gate per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.experts import mix
from dtrn_tf.layers.gate_record import noted
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_mlp import ParallelMLP
from dtrn_tf.layers.split_fields import Fields, each_view


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class MMoE(tf.keras.layers.Layer):
    """Multi-gate mixture-of-experts.

    y_k = sum_e softmax(x_k W_k)_e expert_e(x_k), equations 6 and 7 of the paper; the tasks have
    either the same input x (as in the paper) or each its own.

    Args:
        num_tasks: K.
        num_experts: E.
        units: Width of every layer of an expert.
        dropout: Dropout rate after every layer of an expert.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> MMoE(num_tasks=3, num_experts=2, units=[11, 5])(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts,
        KDD 2018.
    """

    def __init__(
        self,
        num_tasks: int,
        num_experts: int,
        units: Sequence[int],
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.num_experts = check_whole(num_experts, 1, "num_experts")
        self.units = check_units(units, "units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        _, views, width = input_shape
        self.experts = ParallelMLP(
            self.num_experts, self.units, self.dropout_rate, dtype=self.dtype_policy
        )
        self.experts.build((None, views, 1, width))
        self.gates = ParallelDense(
            self.num_tasks, self.num_experts, "softmax", use_bias=False, dtype=self.dtype_policy
        )
        self.gates.build((None, views, width))
        super().build(input_shape)

    def call(
        self, inputs: Fields, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        experts = self.experts(each_view(inputs), training=training)  # [B, J, E, U]
        return mix(noted(self.gates(inputs, parts=tasks), "tasks"), experts)  # [B, K, U]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], self.num_tasks, self.units[-1]

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        return self.gates.trainable_weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_experts": self.num_experts,
            "units": list(self.units),
            "dropout": self.dropout_rate,
        }
