"""HoME: experts of all tasks, of groups of tasks and of tasks, in two levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.experts import mix
from dtrn_tf.layers.gate_record import noted
from dtrn_tf.layers.normalized_experts import NormalizedExperts
from dtrn_tf.layers.parallel_dense import ParallelDense


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class HoME(tf.keras.layers.Layer):
    """Hierarchy of multi-gate experts: groups of tasks share what all tasks need not.

    The first level has a module of experts for each of the G groups and a global one. A group's
    representation z_g is a gated sum over its own experts and the global ones, the global
    representation one over all experts. In the second level, which has another module for every
    group, a global one and one for every task, a task's output is a gated sum over its own
    experts (applied to its group's z), those of its group (to z) and the global ones (to the
    global z). Experts out of sight are masked in the softmax of the gate: the hierarchy mask.
    To each of these sums, a self-gate adds the module's own experts once more, weighted by a
    softmax of their own, or by a sigmoid if there is one. Gates of the first level see the input,
    those of the second the z of the task's group. Experts are `NormalizedExperts`.

    Args:
        groups: For every task, the number of its group; groups are numbered from 0.
        num_experts: E, experts of every module.
        units: Width of every layer of an expert.
        gate_units: Rank of the experts' feature gates.
        dropout: Dropout rate after every layer of an expert.

    Inputs: [B, J, N] with J = 1 (one input for all tasks) or K. With K, the first level makes its
        representations of every task's input, through shared weights.
    Outputs: [B, K, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = HoME(groups=[0, 0, 1], num_experts=2, units=[5], gate_units=4)
        >>> layer(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        HoME: Hierarchy of Multi-Gate Experts for Multi-Task Learning at Kuaishou, KDD 2025,
        arXiv 2408.05430.
    """

    def __init__(
        self,
        groups: Sequence[int],
        num_experts: int,
        units: Sequence[int],
        gate_units: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = tuple(groups)
        self.num_groups = len(set(self.groups))
        if not self.groups or set(self.groups) != set(range(self.num_groups)):
            raise ValueError(
                "`groups` should number the groups of the tasks from 0 without a gap. "
                f"Received: {groups!r}."
            )
        self.num_experts = check_whole(num_experts, 1, "num_experts")
        self.units = check_units(units, "units")
        self.gate_units = check_whole(gate_units, 1, "gate_units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        num_tasks, num_modules = len(self.groups), self.num_groups + 1
        num_experts, width = self.num_experts, self.units[-1]
        shape = tuple(input_shape)
        self.meta_experts = self._experts(num_modules)
        self.meta_experts.build((*shape[:2], 1, shape[2]))
        self.meta_gates = self._gates(num_modules, num_modules * num_experts)
        self.meta_gates.build((*shape[:2], 1, shape[2]))
        self.meta_self_gates = self._gates(num_modules, num_experts)
        self.meta_self_gates.build((*shape[:2], 1, shape[2]))
        self.common_experts = self._experts(num_modules)
        self.common_experts.build((*shape[:2], num_modules, width))
        self.task_experts = self._experts(num_tasks)
        self.task_experts.build((None, num_tasks, width))
        self.task_gates = self._gates(num_tasks, (1 + num_modules) * num_experts)
        self.task_gates.build((None, num_tasks, width))
        self.task_self_gates = self._gates(num_tasks, num_experts)
        self.task_self_gates.build((None, num_tasks, width))
        super().build(input_shape)

    def _experts(self, num_modules: int) -> NormalizedExperts:
        return NormalizedExperts(
            num_modules,
            self.num_experts,
            self.units,
            self.gate_units,
            self.dropout_rate,
            dtype=self.dtype_policy,
        )

    def _gates(self, num_gates: int, num_experts: int) -> ParallelDense:
        return ParallelDense(num_gates, num_experts, use_bias=False, dtype=self.dtype_policy)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        views, width = inputs.shape[1:]
        num_modules, size = self.num_groups + 1, self.units[-1]
        meta = self._meta(tf.reshape(inputs, [-1, 1, width]), training)  # [B * J, M, U]
        common = self.common_experts(meta, training=training)  # [B * J, M * E, U]
        common = tf.reshape(common, [-1, views, num_modules * self.num_experts, size])

        # Of the representations of all views, each task takes its group's in its own view.
        tasks = range(len(self.groups)) if tasks is None else tasks
        groups = [self.groups[task] for task in tasks]
        index = [(view % views) * num_modules + group for view, group in enumerate(groups)]
        inputs = tf.gather(tf.reshape(meta, [-1, views * num_modules, size]), index, axis=1)
        own = self.task_experts(inputs, training=training, parts=tasks)  # [B, K * E, U]
        own = tf.reshape(own, [-1, len(tasks), self.num_experts, size])

        visible = [[True] + self._visible(group) for group in groups]
        scores = self.task_gates(inputs, parts=tasks)
        gates = noted(self._masked_softmax(scores, visible), "tasks")  # [B, K, (1 + M) * E]
        own_gates, common_gates = tf.split(gates, [own.shape[2], common.shape[2]], axis=-1)
        own_gates += self._self_gates(self.task_self_gates(inputs, parts=tasks))
        return mix(own_gates, own) + mix(common_gates, common)  # [B, K, U]

    def _meta(self, inputs: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Representations of the groups and the global one. [B, 1, N] -> [B, M, U]"""
        experts = self.meta_experts(inputs, training=training)  # [B, M * E, U]
        own = tf.reshape(experts, [-1, self.num_groups + 1, self.num_experts, self.units[-1]])
        visible = [self._visible(group) for group in range(self.num_groups + 1)]
        gates = self._masked_softmax(self.meta_gates(inputs), visible)
        gates = noted(gates, "groups")  # [B, M, M * E]
        self_gates = self._self_gates(self.meta_self_gates(inputs))  # [B, M, E]
        return mix(gates, experts[:, tf.newaxis]) + mix(self_gates, own)

    def _visible(self, module: int) -> list[bool]:
        """The modules that a module sees: itself and the global one; the global one sees all."""
        last = self.num_groups
        return [module == last or other in (module, last) for other in range(last + 1)]

    def _masked_softmax(self, scores: tf.Tensor, visible: list[list[bool]]) -> tf.Tensor:
        mask = tf.repeat(tf.constant(visible), self.num_experts, axis=1)
        return tf.nn.softmax(tf.where(mask, scores, -float("inf")))

    def _self_gates(self, scores: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(scores) if self.num_experts > 1 else tf.sigmoid(scores)

    @property
    def task_weights(self) -> list[Any]:
        """Weights of which every task has its own part."""
        own: list[Any] = [self.task_experts, self.task_gates, self.task_self_gates]
        return [weight for layer in own for weight in layer.trainable_weights]

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return input_shape[0], len(self.groups), self.units[-1]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": list(self.groups),
            "num_experts": self.num_experts,
            "units": list(self.units),
            "gate_units": self.gate_units,
            "dropout": self.dropout_rate,
        }
