"""Layer normalization whose scale and shift are inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.precision import at_least_float32


def normalize(inputs: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Returns (x - mean) / sqrt(var + epsilon) over the last axis, computed in float32.

    With n = (x - mean) * r and r = 1 / sqrt(var + epsilon), an upstream gradient g becomes
    r * (g - mean(g) - n * mean(g * n)): written down, it takes half the passes over memory of
    what differentiating operation by operation gives.

    >>> [round(x, 3) for x in normalize(tf.constant([1.0, 3.0]), epsilon=0.0).numpy().tolist()]
    [-1.0, 1.0]
    """
    @tf.custom_gradient
    def function(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        centered = values - _mean(values)
        scale = tf.math.rsqrt(_mean(centered * centered) + epsilon)
        normalized = centered * scale

        def backward(upstream: tf.Tensor) -> tf.Tensor:
            through_scale = normalized * _mean(upstream * normalized)
            return scale * (upstream - _mean(upstream) - through_scale)

        return normalized, backward

    return tf.cast(function(at_least_float32(inputs)), inputs.dtype)


def scale_and_shift(normalized: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """Returns gamma_k * n + beta_k. [..., J, D] with J = 1 or K; [K, D] twice -> [..., K, D]

    >>> scale_and_shift(tf.ones([1, 2]), tf.constant([[3.0, 4.0]]), tf.ones([1, 2])).numpy()
    array([[4., 5.]], dtype=float32)
    """
    return tf.cast(gamma, normalized.dtype) * normalized + tf.cast(beta, normalized.dtype)


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(values, axis=-1, keepdims=True)


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ConditionalLayerNormalization(tf.keras.layers.Layer):
    """Layer normalization with one scale and shift per task, made by a hypernetwork.

    CLN(x; k) = gamma_k * (x - mean) / sqrt(var + epsilon) + beta_k, over the last axis.

    Args:
        epsilon: Small number that keeps the root away from zero.

    Inputs: x [..., J, D] with J = 1 (one representation for all tasks) or K; gamma and beta
        [K, D].
    Outputs: [..., K, D].

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
        return scale_and_shift(normalize(inputs, self.epsilon), gamma, beta)  # [..., K, D]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
