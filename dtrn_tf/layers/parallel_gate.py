"""Gates that weigh every element of a vector, several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole
from dtrn_tf.layers.parallel_dense import ParallelDense


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ParallelGate(tf.keras.layers.Layer):
    """S independent gates with two layers: PEPNet's gate unit, and HoME's low-rank feature gate.

    g_s = 2 sigmoid(activation(x_s A_s + a_s) C_s + c_s), which starts near 1.

    Args:
        num_parallel: S, the number of gates.
        units: U, the width of every gate's output.
        hidden_units: Width of the hidden layer.
        activation: Name of the hidden layer's activation, or None.

    Inputs: [..., G, N] with G dividing S, and parts, as for `ParallelDense`.
    Outputs: [..., S, U], numbers between 0 and 2.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> ParallelGate(num_parallel=3, units=5, hidden_units=4)(tf.ones([2, 1, 7])).shape
        TensorShape([2, 3, 5])

    References:
        PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized Prior
        Information, KDD 2023, arXiv 2302.01115, section 3.2.
    """

    def __init__(
        self,
        num_parallel: int,
        units: int,
        hidden_units: int,
        activation: str | None = "relu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_parallel = check_whole(num_parallel, 1, "num_parallel")
        self.units = check_whole(units, 1, "units")
        self.hidden_units = check_whole(hidden_units, 1, "hidden_units")
        self.activation = activation

    def build(self, input_shape: Any) -> None:
        self.hidden = ParallelDense(
            self.num_parallel, self.hidden_units, self.activation, dtype=self.dtype_policy
        )
        self.hidden.build(input_shape)
        # Small and not zero: with zeros the hidden layer would get no gradient at the start.
        self.excitation = ParallelDense(
            self.num_parallel, self.units, kernel_scale=0.1, dtype=self.dtype_policy
        )
        self.excitation.build((*tuple(input_shape)[:-2], self.num_parallel, self.hidden_units))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, parts: Sequence[int] | None = None) -> tf.Tensor:
        hidden = self.hidden(inputs, parts=parts)
        return 2 * tf.sigmoid(self.excitation(hidden, parts=parts))  # [..., S, U]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_parallel": self.num_parallel,
            "units": self.units,
            "hidden_units": self.hidden_units,
            "activation": self.activation,
        }
