"""Experts of HoME: gated inputs, normalised outputs, no dead units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_units, check_whole
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.conditional_layer_normalization import normalize, scale_and_shift
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_gate import ParallelGate


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class NormalizedExperts(tf.keras.layers.Layer):
    """M modules of E experts whose outputs have one scale: HoME's experts and feature gates.

    Module m gates its input, v_m = g_m(x_m) * x_m, with a low-rank `ParallelGate`. Each layer of
    its experts is swish(norm(v W)), so that no expert dies and none is overlooked for being
    small. The paper normalises over the batch; here norm is layer normalization with a scale and
    shift of each expert, which does not depend on the batch and keeps no running averages.

    Args:
        num_modules: M.
        num_experts: E, experts of every module.
        units: Width of every layer of an expert.
        gate_units: Rank of the feature gates.
        dropout: Dropout rate after every layer of an expert.

    Inputs: [..., G, N] with G dividing M, as for `ParallelDense`. parts: the modules to apply, all
        by default; M then stands for their number.
    Outputs: [..., M * E, U] with U the last of `units`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = NormalizedExperts(num_modules=3, num_experts=2, units=[5], gate_units=4)
        >>> layer(tf.ones([2, 1, 7])).shape
        TensorShape([2, 6, 5])

    References:
        HoME: Hierarchy of Multi-Gate Experts for Multi-Task Learning at Kuaishou, KDD 2025,
        arXiv 2408.05430.
    """

    def __init__(
        self,
        num_modules: int,
        num_experts: int,
        units: Sequence[int],
        gate_units: int,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_modules = check_whole(num_modules, 1, "num_modules")
        self.num_experts = check_whole(num_experts, 1, "num_experts")
        self.units = check_units(units, "units")
        self.gate_units = check_whole(gate_units, 1, "gate_units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        num_parallel = self.num_modules * self.num_experts
        shape = tuple(input_shape)
        self.gate = ParallelGate(
            self.num_modules, shape[-1], self.gate_units, None, dtype=self.dtype_policy
        )
        self.gate.build(shape)
        shape = (*shape[:-2], self.num_modules, shape[-1])
        self.hidden, self.scales, self.shifts = [], [], []
        self.dropout = tf.keras.layers.Dropout(self.dropout_rate, dtype=self.dtype_policy)
        for level, units in enumerate(self.units):
            dense = ParallelDense(num_parallel, units, use_bias=False, dtype=self.dtype_policy)
            dense.build(shape)
            self.hidden.append(dense)
            shape = (*shape[:-2], num_parallel, units)
            self.scales.append(self.add_weight(
                name=f"scale_{level}", shape=shape[-2:], initializer="ones"))
            self.shifts.append(self.add_weight(
                name=f"shift_{level}", shape=shape[-2:], initializer="zeros"))
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, parts: Sequence[int] | None = None
    ) -> tf.Tensor:
        modules = range(self.num_modules) if parts is None else parts
        size = self.num_experts
        experts = [module * size + expert for module in modules for expert in range(size)]
        groups, width = inputs.shape[-2:]
        gates = self.gate(inputs, parts=modules)  # [..., M, N]
        each = tf.repeat(inputs, len(modules) // groups, axis=-2) if groups > 1 else inputs
        outputs = gates * each
        for dense, scale, shift in zip(self.hidden, self.scales, self.shifts):
            normalized = normalize(dense(outputs, parts=experts), 1e-6)
            outputs = scale_and_shift(normalized, chosen(scale, experts), chosen(shift, experts))
            outputs = self.dropout(tf.nn.silu(outputs), training=training)  # [..., M * E, U]
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_modules": self.num_modules,
            "num_experts": self.num_experts,
            "units": list(self.units),
            "gate_units": self.gate_units,
            "dropout": self.dropout_rate,
        }
