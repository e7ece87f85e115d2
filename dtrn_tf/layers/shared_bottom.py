"""Shared-bottom: one network for all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units
from dtrn_tf.layers.parallel_mlp import ParallelMLP
from dtrn_tf.layers.split_fields import Fields, each_view


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class SharedBottom(tf.keras.layers.Layer):
    """Applies the same multi-layer perceptron with ReLU to the input of every task.

    Args:
        units: Width of every layer.
        dropout: Dropout rate after every layer.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K.
    Outputs: [B, J, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> SharedBottom(units=[11, 5])(tf.ones([2, 3, 7])).shape
        TensorShape([2, 3, 5])

    References:
        Multitask Learning, Machine Learning 28, 1997.
    """

    def __init__(self, units: Sequence[int], dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = check_units(units, "units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        self.bottom = ParallelMLP(1, self.units, self.dropout_rate, dtype=self.dtype_policy)
        self.bottom.build((None, None, 1, input_shape[-1]))
        super().build(input_shape)

    def call(
        self, inputs: Fields, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        # Every view for itself: those of `tasks` are the ones that came.
        outputs = self.bottom(each_view(inputs), training=training)  # [B, J, 1, U]
        return tf.squeeze(outputs, 2)  # [B, J, U]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], input_shape[1], self.units[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": list(self.units), "dropout": self.dropout_rate}
