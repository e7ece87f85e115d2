"""TRM: one weighting of the fields per task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_one_of, check_units, check_whole
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_mlp import ParallelMLP
from dtrn_tf.layers.split_fields import Fields, SplitFields, flat_fields, joined


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class TaskRefinement(tf.keras.layers.Layer):
    """Task-specific representation refinement module (TRM of DTRN): one SENet per task.

    y_k = s_k * x_k with s_k = 2 sigmoid(MLP_k([all fields of x_k])), which starts near 1.

    Args:
        num_tasks: K.
        hidden_units: Widths of the hidden layers of every MLP_k, with ReLU.
        granularity: "field" makes one weight per field, "element" one per element of a field.

    Inputs: fields [B, J, F, D] with J = 1 (the same for all tasks) or K, or `SplitFields`. tasks:
        those to compute, all by default; K is then their number.
    Outputs: [B, K, F, D], with one weight per field split as the inputs are.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> TaskRefinement(num_tasks=3, hidden_units=[16])(tf.ones([2, 1, 7, 5])).shape
        TensorShape([2, 3, 7, 5])

    References:
        Deep Task-specific Bottom Representation Network for Multi-Task Recommendation,
        arXiv 2308.05996; Squeeze-and-Excitation Networks, arXiv 1709.01507.
    """

    def __init__(
        self,
        num_tasks: int,
        hidden_units: Sequence[int],
        granularity: str = "field",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.hidden_units = check_units(hidden_units, "hidden_units")
        self.granularity = check_one_of(granularity, ("field", "element"), "granularity")

    def build(self, input_shape: Any) -> None:
        _, views, fields, width = input_shape
        self.hidden = ParallelMLP(self.num_tasks, self.hidden_units, dtype=self.dtype_policy)
        self.hidden.build((None, views, fields * width))
        # Small and not zero: with zeros the hidden layers would get no gradient at the start.
        self.excitation = ParallelDense(
            self.num_tasks,
            fields if self.granularity == "field" else fields * width,
            kernel_scale=0.1,
            dtype=self.dtype_policy,
        )
        self.excitation.build((None, self.num_tasks, self.hidden_units[-1]))
        super().build(input_shape)

    def call(self, inputs: Fields, tasks: Sequence[int] | None = None) -> Fields:
        hidden = self.hidden(flat_fields(inputs), tasks=tasks)
        weights = self.excitation(hidden, parts=tasks)
        weights = 2 * tf.sigmoid(weights)  # [B, K, F] or [B, K, F * D]
        if self.granularity == "field" and isinstance(inputs, SplitFields):
            return inputs.weighted(weights)
        inputs = joined(inputs)
        fields, width = inputs.shape[2:]
        weights = tf.reshape(
            weights, [-1, weights.shape[1], fields, 1 if self.granularity == "field" else width]
        )  # [B, K, F, 1 or D]
        return weights * inputs  # [B, K, F, D]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        return self.trainable_weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "hidden_units": list(self.hidden_units),
            "granularity": self.granularity,
        }
