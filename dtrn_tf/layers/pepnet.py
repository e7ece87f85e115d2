"""PEPNet: gates on the embeddings and on every hidden layer of each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.parallel_gate import ParallelGate
from dtrn_tf.layers.parallel_mlp import ParallelMLP


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class PEPNet(tf.keras.layers.Layer):
    """Parameter and embedding personalized network: one gated perceptron per task.

    EPNet gates the input, o = g(sg(x)) * x, alike for all tasks. PPNet gates every hidden layer of
    each task: h_kl = g_kl(sg(o)) * relu(h_k(l-1) W_kl + b_kl) with h_k0 = o. The g are
    `ParallelGate`s, and sg stops gradients: gates are steered by embeddings without training them.

    The paper's gates see, beside that, chosen features with their gradients: the domain in EPNet,
    the ids of user, item and author in PPNet. Here these are part of x and seen through sg alone.

    Args:
        num_tasks: K.
        units: Width of every layer of a task's perceptron.
        gate_units: Width of the hidden layer of every gate.
        dropout: Dropout rate after every layer of a perceptron.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> PEPNet(num_tasks=3, units=[11, 5], gate_units=4)(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized Prior
        Information, KDD 2023, arXiv 2302.01115.
    """

    def __init__(
        self,
        num_tasks: int,
        units: Sequence[int],
        gate_units: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.units = check_units(units, "units")
        self.gate_units = check_whole(gate_units, 1, "gate_units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        _, views, width = input_shape
        self.embedding_gate = ParallelGate(1, width, self.gate_units, dtype=self.dtype_policy)
        self.embedding_gate.build((None, views, 1, width))
        self.gates, self.hidden, shape = [], [], (None, views, width)
        for units in self.units:
            gate = ParallelGate(self.num_tasks, units, self.gate_units, dtype=self.dtype_policy)
            hidden = ParallelMLP(
                self.num_tasks, [units], self.dropout_rate, dtype=self.dtype_policy
            )
            gate.build((None, views, width))
            hidden.build(shape)
            shape = (None, self.num_tasks, units)
            self.gates.append(gate)
            self.hidden.append(hidden)
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        seen = tf.stop_gradient(inputs)
        outputs = tf.squeeze(self.embedding_gate(seen[:, :, tf.newaxis]), 2) * inputs  # [B, J, N]
        seen = tf.stop_gradient(outputs)
        for gate, hidden in zip(self.gates, self.hidden):
            outputs = gate(seen, parts=tasks) * hidden(outputs, training=training, tasks=tasks)
        return outputs  # [B, K, U]

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        own: list[Any] = [*self.gates, *self.hidden]
        return [weight for layer in own for weight in layer.trainable_weights]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], self.num_tasks, self.units[-1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "units": list(self.units),
            "gate_units": self.gate_units,
            "dropout": self.dropout_rate,
        }
