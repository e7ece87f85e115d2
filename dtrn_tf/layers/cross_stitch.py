"""Cross-stitch: one network per task, mixed after every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.parallel_mlp import ParallelMLP


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class CrossStitch(tf.keras.layers.Layer):
    """Cross-stitch network: after every layer, each task gets a learned mixture of all tasks.

    h_k = sum_j a_kj * relu(h_j W_j + b_j), equation 1 of the paper, with one cross-stitch unit
    a [K, K] for each of the U columns of a layer (the paper: for each channel). A task starts with
    .9 of its own and .1 of the others together, as in the paper's section 5.1.

    Args:
        num_tasks: K.
        units: Width of every layer.
        dropout: Dropout rate after every layer.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> CrossStitch(num_tasks=3, units=[11, 5])(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        Cross-stitch Networks for Multi-task Learning, CVPR 2016, arXiv 1604.03539.
    """

    def __init__(
        self, num_tasks: int, units: Sequence[int], dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.units = check_units(units, "units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        self.hidden = [
            ParallelMLP(self.num_tasks, [units], self.dropout_rate, dtype=self.dtype_policy)
            for units in self.units
        ]
        shape = tuple(input_shape)
        for layer, units in zip(self.hidden, self.units):
            layer.build(shape)
            shape = (None, self.num_tasks, units)
        self.stitches = [
            self.add_weight(
                name=f"stitch_{level}",
                shape=(self.num_tasks, self.num_tasks, units),
                initializer=_mostly_own,
            )
            for level, units in enumerate(self.units)
        ]
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        outputs = inputs
        # Every task reads all others, so only the last mixtures are of `tasks` alone.
        stitches = [*self.stitches[:-1], chosen(self.stitches[-1], tasks)]
        for layer, stitch in zip(self.hidden, stitches):
            own = layer(outputs, training=training)[:, tf.newaxis]  # [B, 1, K, U]
            outputs = tf.reduce_sum(stitch * own, axis=2)  # [B, K, U]
        return outputs

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        # Whatever comes before the last stitch reaches all tasks there.
        return self.stitches[-1:]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need: all."""
        return range(self.num_tasks)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], self.num_tasks, self.units[-1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "units": list(self.units),
            "dropout": self.dropout_rate,
        }


def _mostly_own(shape: Sequence[int], dtype: Any = None) -> tf.Tensor:
    """.9 on the diagonal, .1 shared by the other tasks; 1 for a single task. [K, K, U]"""
    num_tasks = shape[0]
    others = 0.1 / (num_tasks - 1) if num_tasks > 1 else 0.0
    own = 0.9 if num_tasks > 1 else 1.0
    unit = tf.eye(num_tasks, dtype=dtype) * (own - others) + others
    return tf.broadcast_to(unit[..., tf.newaxis], shape)
