"""Layer normalization whose scale and shift are inputs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.precision import at_least_float32


def normalize(inputs: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Returns (x - mean) / sqrt(var + epsilon) over the last axis, computed in float32.

    >>> [round(x, 3) for x in normalize(tf.constant([1.0, 3.0]), epsilon=0.0).numpy().tolist()]
    [-1.0, 1.0]
    """
    values = at_least_float32(inputs)
    mean, variance = tf.nn.moments(values, axes=[-1], keepdims=True)
    return tf.cast((values - mean) * tf.math.rsqrt(variance + epsilon), inputs.dtype)


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ConditionalLayerNormalization(tf.keras.layers.Layer):
    """Layer normalization with one scale and shift per task, made by a hypernetwork.

    CLN(x; k) = gamma_k * (x - mean) / sqrt(var + epsilon) + beta_k, over the last axis.

    Args:
        epsilon: Small number that keeps the root away from zero.

    Inputs: x [B, L, J, D] with J = 1 (one representation for all tasks) or K; gamma and beta
        [K, D].
    Outputs: [B, L, K, D].

    Raises:
        ValueError: `epsilon` is not positive.

    Example:
        >>> layer = ConditionalLayerNormalization()
        >>> layer(tf.ones([2, 3, 1, 5]), tf.ones([7, 5]), tf.zeros([7, 5])).shape
        TensorShape([2, 3, 7, 5])

    References:
        Deep Task-specific Bottom Representation Network for Multi-Task Recommendation,
        arXiv 2308.05996.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"`epsilon` should be a number > 0. Received: {epsilon!r}.")
        self.epsilon = epsilon

    def call(self, inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        gamma, beta = tf.cast(gamma, inputs.dtype), tf.cast(beta, inputs.dtype)
        return gamma * normalize(inputs, self.epsilon) + beta  # [B, L, K, D]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
