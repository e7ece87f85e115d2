"""PLE: levels of shared and task-specific experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.customized_gate_control import CustomizedGateControl
from dtrn_tf.layers.split_fields import Fields


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class PLE(tf.keras.layers.Layer):
    """Progressive layered extraction: levels of customized gate control.

    The shared stream starts as the input. With one input for all tasks this is the paper's PLE;
    with one per task, every task has its own view of the shared stream, through shared weights.

    Args:
        num_tasks: K.
        num_task_experts: Experts of every task, per level.
        num_shared_experts: Experts of all tasks together, per level.
        units: Width of every layer of an expert.
        num_levels: Number of levels.
        dropout: Dropout rate after every layer of an expert.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = PLE(3, num_task_experts=2, num_shared_experts=1, units=[5], num_levels=2)
        >>> layer(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
        Personalized Recommendations, RecSys 2020.
    """

    def __init__(
        self,
        num_tasks: int,
        num_task_experts: int,
        num_shared_experts: int,
        units: Sequence[int],
        num_levels: int = 1,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.num_task_experts = check_whole(num_task_experts, 1, "num_task_experts")
        self.num_shared_experts = check_whole(num_shared_experts, 1, "num_shared_experts")
        self.units = check_units(units, "units")
        self.num_levels = check_whole(num_levels, 1, "num_levels")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        self.levels = [
            CustomizedGateControl(
                self.num_tasks,
                self.num_task_experts,
                self.num_shared_experts,
                self.units,
                shared_gate=level + 1 < self.num_levels,
                dropout=self.dropout_rate,
                dtype=self.dtype_policy,
            )
            for level in range(self.num_levels)
        ]
        _, views, width = input_shape
        shapes = [(None, views, width), (None, views, width)]
        for level in self.levels:
            level.build(shapes)
            shapes = [(None, self.num_tasks, self.units[-1]), (None, views, self.units[-1])]
        super().build(input_shape)

    def call(
        self, inputs: Fields, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        streams: list[Any] = [inputs, inputs]
        for level in self.levels[:-1]:
            streams = level(streams, training=training)  # [B, K, U], [B, J, U]
        if self.num_levels > 1 and tasks is not None:
            streams = [x if x.shape[1] == 1 else chosen(x, tasks, axis=1) for x in streams]
        return self.levels[-1](streams, training=training, tasks=tasks)  # [B, K, U]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need: with several levels, all."""
        return tasks if self.num_levels == 1 else range(self.num_tasks)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], self.num_tasks, self.units[-1]

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        # Whatever feeds a level with a shared gate reaches all tasks there.
        return [weight for level in self.levels[-2:] for weight in level.task_weights]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_task_experts": self.num_task_experts,
            "num_shared_experts": self.num_shared_experts,
            "units": list(self.units),
            "num_levels": self.num_levels,
            "dropout": self.dropout_rate,
        }
