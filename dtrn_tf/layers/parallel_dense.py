"""Several dense layers side by side, as one matrix product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.parallel_affine import parallel_affine
from dtrn_tf.layers.split_fields import Fields, SplitFields


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ParallelDense(tf.keras.layers.Layer):
    """S independent dense layers, one per task or expert, in one (batched) product.

    y_s = activation(x_s W_s + b_s), with W_s drawn as for a dense layer of its own (Glorot).

    Args:
        num_parallel: S, the number of dense layers.
        units: U, the width of every output.
        activation: Name of an activation or None.
        use_bias: Whether to add b_s; it starts at zero.
        kernel_scale: Factor on the initial kernels; a small one starts all outputs near zero.

    Inputs: [..., G, N]; G divides S, and input g goes to the S / G consecutive layers from
        g * S / G on. So G = 1 is one input for all layers and G = S one input for each.
        Or `SplitFields` that stand for such an input. parts: the layers to apply, all by default;
        S then stands for their number.
    Outputs: [..., S, U].

    Raises:
        ValueError: An argument is out of range or G does not divide S.

    Example:
        >>> layer = ParallelDense(num_parallel=3, units=5)
        >>> layer(tf.ones([2, 3, 7])).shape, layer(tf.ones([2, 1, 7])).shape
        (TensorShape([2, 3, 5]), TensorShape([2, 3, 5]))
    """

    def __init__(
        self,
        num_parallel: int,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_parallel = check_whole(num_parallel, 1, "num_parallel")
        self.units = check_whole(units, 1, "units")
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_scale = kernel_scale

    def build(self, input_shape: Any) -> None:
        groups, width = input_shape[-2], input_shape[-1]
        if self.num_parallel % groups:
            raise ValueError(
                f"Axis -2 of the input should divide num_parallel={self.num_parallel}. "
                f"Received: input of shape {tuple(input_shape)}."
            )
        # The limit of one [N, U] slice: Glorot on [S, N, U] would be sqrt(S) too small.
        limit = self.kernel_scale * math.sqrt(6 / (width + self.units))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_parallel, width, self.units),
            initializer=tf.keras.initializers.RandomUniform(-limit, limit),
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.num_parallel, self.units), initializer="zeros"
            )
        self.activate = tf.keras.activations.get(self.activation)
        super().build(input_shape)

    def call(self, inputs: Fields, parts: Sequence[int] | None = None) -> tf.Tensor:
        kernel = chosen(self.kernel, parts)
        bias = chosen(self.bias, parts) if self.use_bias else None
        if isinstance(inputs, SplitFields):
            return self.activate(inputs.affine(kernel, bias))
        return self.activate(parallel_affine(inputs, kernel, bias))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_parallel": self.num_parallel,
            "units": self.units,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_scale": self.kernel_scale,
        }
