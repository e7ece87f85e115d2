"""One level of PLE: shared experts and experts of every task."""

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
class CustomizedGateControl(tf.keras.layers.Layer):
    """Customized gate control (CGC), the extraction network of PLE.

    y_k = sum over e of g_k(x_k)_e E_e, where E are the experts of task k, applied to x_k, and the
    shared experts, applied to s_k, task k's view of the shared stream. The next level's shared
    stream is the same sum over the experts of all tasks and the shared ones, gated by s_k.

    Args:
        num_tasks: K.
        num_task_experts: Experts of every task.
        num_shared_experts: Experts of all tasks together.
        units: Width of every layer of an expert.
        shared_gate: Whether to make the next level's shared stream.
        dropout: Dropout rate after every layer of an expert.

    Inputs: list of x [B, J, N] and s [B, J', N], each with one view for all tasks or K. tasks:
        those to compute, all by default (`shared_gate` needs all); K is then their number.
    Outputs: [B, K, U], followed by the shared stream [B, J', U] if `shared_gate`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = CustomizedGateControl(3, num_task_experts=2, num_shared_experts=1, units=[5])
        >>> layer([tf.ones([2, 3, 7]), tf.ones([2, 1, 7])]).shape
        TensorShape([2, 3, 5])

    References:
        Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
        Personalized Recommendations, RecSys 2020, sections 4.1 and 4.2.
    """

    def __init__(
        self,
        num_tasks: int,
        num_task_experts: int,
        num_shared_experts: int,
        units: Sequence[int],
        shared_gate: bool = False,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_whole(num_tasks, 1, "num_tasks")
        self.num_task_experts = check_whole(num_task_experts, 1, "num_task_experts")
        self.num_shared_experts = check_whole(num_shared_experts, 1, "num_shared_experts")
        self.units = check_units(units, "units")
        self.shared_gate = shared_gate
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        (_, views, width), (_, shared_views, shared_width) = input_shape
        num_own, num_shared = self.num_tasks * self.num_task_experts, self.num_shared_experts
        self.task_experts = self._experts(num_own)
        self.task_experts.build((None, views, width))
        self.shared_experts = self._experts(num_shared)
        self.shared_experts.build((None, shared_views, 1, shared_width))
        self.task_gates = self._gates(self.num_tasks, self.num_task_experts + num_shared)
        self.task_gates.build((None, views, width))
        if self.shared_gate:
            self.stream_gate = self._gates(1, num_own + num_shared)
            self.stream_gate.build((None, None, 1, shared_width))
        super().build(input_shape)

    def _experts(self, num_experts: int) -> ParallelMLP:
        return ParallelMLP(num_experts, self.units, self.dropout_rate, dtype=self.dtype_policy)

    def _gates(self, num_gates: int, num_experts: int) -> ParallelDense:
        return ParallelDense(
            num_gates, num_experts, "softmax", use_bias=False, dtype=self.dtype_policy
        )

    def call(
        self,
        inputs: Sequence[Fields],
        training: bool | None = None,
        tasks: Sequence[int] | None = None,
    ) -> Any:
        views, stream = inputs
        tasks = range(self.num_tasks) if tasks is None else tasks
        size, num_shared = self.num_task_experts, self.num_shared_experts
        stream = each_view(stream)  # [B, J', 1, N]
        experts = [task * size + expert for task in tasks for expert in range(size)]
        own = self.task_experts(views, training=training, tasks=experts)  # [B, K * E, U]
        own_of_task = tf.reshape(own, [-1, len(tasks), size, self.units[-1]])
        shared = self.shared_experts(stream, training=training)  # [B, J', E, U]
        own_gates, shared_gates = tf.split(
            noted(self.task_gates(views, parts=tasks), "tasks"), [size, num_shared], axis=-1
        )  # [B, K, E] each
        outputs = mix(own_gates, own_of_task) + mix(shared_gates, shared)
        if not self.shared_gate:
            return outputs  # [B, K, U]
        gates = noted(self.stream_gate(stream), "stream")
        own_gates, shared_gates = tf.split(
            tf.squeeze(gates, 2), [own.shape[1], num_shared], axis=-1
        )  # [B, J', K * E], [B, J', E]
        return outputs, mix(own_gates, tf.expand_dims(own, 1)) + mix(shared_gates, shared)

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        # With a shared gate the experts of a task reach the others in the next level.
        own = [] if self.shared_gate else self.task_experts.trainable_weights
        return [*self.task_gates.trainable_weights, *own]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_task_experts": self.num_task_experts,
            "num_shared_experts": self.num_shared_experts,
            "units": list(self.units),
            "shared_gate": self.shared_gate,
            "dropout": self.dropout_rate,
        }
