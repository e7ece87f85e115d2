"""Several multi-layer perceptrons side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.split_fields import Fields


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ParallelMLP(tf.keras.layers.Layer):
    """S independent multi-layer perceptrons with ReLU: the experts, towers or SENets of a model.

    Args:
        num_parallel: S, the number of perceptrons.
        units: Width of every layer; may be empty (the inputs are returned).
        dropout: Dropout rate after every layer.

    Inputs: [..., G, N] with G dividing S, as for `ParallelDense`. tasks: the perceptrons to
        apply, all by default.
    Outputs: [..., S, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> ParallelMLP(num_parallel=3, units=[11, 5])(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])
    """

    def __init__(
        self, num_parallel: int, units: Sequence[int], dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_parallel = check_whole(num_parallel, 1, "num_parallel")
        self.units = check_units(units, "units", allow_empty=True)
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        self.hidden = [
            ParallelDense(self.num_parallel, units, "relu", dtype=self.dtype_policy)
            for units in self.units
        ]
        self.dropouts = [
            tf.keras.layers.Dropout(self.dropout_rate, dtype=self.dtype_policy) for _ in self.units
        ]
        for dense, dropout in zip(self.hidden, self.dropouts):
            dense.build(shape)
            shape = (*shape[:-2], self.num_parallel, dense.units)
            dropout.build(shape)
        super().build(input_shape)

    def call(
        self, inputs: Fields, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        outputs = inputs
        for dense, dropout in zip(self.hidden, self.dropouts):
            outputs = dropout(dense(outputs, parts=tasks), training=training)  # [..., S, U]
        return outputs

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        shape = tuple(input_shape)
        return (*shape[:-2], self.num_parallel, self.units[-1]) if self.units else shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_parallel": self.num_parallel,
            "units": list(self.units),
            "dropout": self.dropout_rate,
        }
