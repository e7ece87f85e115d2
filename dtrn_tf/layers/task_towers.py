"""One tower and one logit per task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_mlp import ParallelMLP


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class TaskTowers(tf.keras.layers.Layer):
    """One tower and head per task: logit_k = tower_k(x_k) . w_k + b_k.

    Args:
        num_tasks: K.
        units: Width of every layer of a tower, with ReLU; empty for heads only.
        base_rates: Mean label of every task (None for a task that has none). Training then
            starts from b_k = log(p_k / (1 - p_k)), so that it need not spend steps on the rates.
        dropout: Dropout rate after every layer of a tower.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K. tasks: those to compute, all by
        default; K is then their number.
    Outputs: logits [B, K], in the precision of the weights, so that mixed precision does not
        round what the loss sees.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = TaskTowers(num_tasks=3, units=[5], base_rates=[0.5, 0.01, None])
        >>> print(layer(tf.zeros([1, 3, 7])).numpy().round(1))
        [[ 0.  -4.6  0. ]]
    """

    def __init__(
        self,
        num_tasks: int,
        units: Sequence[int],
        base_rates: Sequence[float | None] | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.units = check_units(units, "units", allow_empty=True)
        self.base_rates = tuple([None] * num_tasks if base_rates is None else base_rates)
        self.dropout_rate = check_rate(dropout, "dropout")
        if len(self.base_rates) != num_tasks:
            raise ValueError(
                f"`base_rates` should have one rate for each of the {num_tasks} tasks. "
                f"Received: {base_rates!r}."
            )
        if not all(rate is None or 0 < rate < 1 for rate in self.base_rates):
            raise ValueError(
                "`base_rates` should be numbers between 0 and 1, both excluded, or None. "
                f"Received: {base_rates!r}. A task whose labels are all equal cannot be trained."
            )

    def build(self, input_shape: Any) -> None:
        _, views, width = input_shape
        self.towers = ParallelMLP(
            self.num_tasks, self.units, self.dropout_rate, dtype=self.dtype_policy
        )
        self.towers.build((None, views, width))
        self.heads = ParallelDense(
            self.num_tasks, 1, use_bias=False, dtype=self.dtype_policy
        )
        self.heads.build((None, self.num_tasks, self.units[-1]) if self.units else input_shape)
        biases = [0.0 if p is None else math.log(p / (1 - p)) for p in self.base_rates]
        self.bias = self.add_weight(
            name="bias",
            shape=(self.num_tasks,),
            initializer=lambda shape, dtype=None: tf.constant(biases, dtype),
            autocast=False,
        )
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        hidden = self.towers(inputs, training=training, tasks=tasks)
        logits = tf.squeeze(self.heads(hidden, parts=tasks), -1)  # [B, K]
        return tf.cast(logits, self.variable_dtype) + chosen(self.bias, tasks)

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        return self.trainable_weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "units": list(self.units),
            "base_rates": list(self.base_rates),
            "dropout": self.dropout_rate,
        }
