"""The network that makes the normalization parameters of every task and behaviour type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_one_of, check_units, check_whole
from dtrn_tf.layers.last_axis import on_last_axis


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class Hypernetwork(tf.keras.layers.Layer):
    """Makes gamma and beta of all conditional layer normalizations (TIM of DTRN).

    [gamma_i ; beta_i](k, t) = MLP([task_k ; behaviour_t]), for every normalization i.

    Args:
        num_norms: I, the number of normalizations.
        width: D, the width of the normalized values.
        hidden_units: Widths of the hidden layers, with ReLU.
        initialization: "free" uses the outputs as they are, so that tasks differ from the start;
            "identity" starts the last layer at zero and adds 1 to gamma, so that training starts
            from the unconditioned Transformer.

    Inputs: list of task embeddings [K, D'] and behaviour embeddings [T, D''].
    Outputs: gamma and beta, each [K, T, I, D].

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = Hypernetwork(num_norms=2, width=5, hidden_units=[8], initialization="identity")
        >>> gamma, beta = layer([tf.ones([3, 4]), tf.ones([2, 4])])
        >>> gamma.shape, float(gamma[0, 0, 0, 0]), float(beta[0, 0, 0, 0])
        (TensorShape([3, 2, 2, 5]), 1.0, 0.0)

    References:
        Deep Task-specific Bottom Representation Network for Multi-Task Recommendation,
        arXiv 2308.05996.
    """

    def __init__(
        self,
        num_norms: int,
        width: int,
        hidden_units: Sequence[int],
        initialization: str = "free",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_norms = check_whole(num_norms, 1, "num_norms")
        self.width = check_whole(width, 1, "width")
        self.hidden_units = check_units(hidden_units, "hidden_units", allow_empty=True)
        self.initialization = check_one_of(initialization, ("free", "identity"), "initialization")

    def build(self, input_shape: Any) -> None:
        task_shape, behavior_shape = input_shape
        last = "zeros" if self.initialization == "identity" else "glorot_uniform"
        outputs = 2 * self.num_norms * self.width
        self.perceptron = [
            *(tf.keras.layers.Dense(units, activation="relu", dtype=self.dtype_policy)
              for units in self.hidden_units),
            tf.keras.layers.Dense(outputs, kernel_initializer=last, dtype=self.dtype_policy),
        ]
        width = task_shape[-1] + behavior_shape[-1]
        for layer in self.perceptron:
            layer.build((None, width))
            width = layer.units
        super().build(input_shape)

    def call(self, inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        tasks, behaviors = inputs
        num_tasks, num_behaviors = tasks.shape[0], behaviors.shape[0]
        outputs = tf.concat(
            [
                tf.repeat(tasks[:, tf.newaxis], num_behaviors, axis=1),
                tf.repeat(behaviors[tf.newaxis], num_tasks, axis=0),
            ],
            axis=-1,
        )  # [K, T, D' + D'']
        for layer in self.perceptron:
            outputs = on_last_axis(layer, outputs)
        shape = [num_tasks, num_behaviors, 2, self.num_norms, self.width]
        gamma, beta = tf.unstack(tf.reshape(outputs, shape), axis=2)  # [K, T, I, D]
        return (gamma + 1, beta) if self.initialization == "identity" else (gamma, beta)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_norms": self.num_norms,
            "width": self.width,
            "hidden_units": list(self.hidden_units),
            "initialization": self.initialization,
        }
