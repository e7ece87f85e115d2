"""AITM's calibrator: a later task should not be more probable than the one before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class OrderCalibrator(tf.keras.layers.Layer):
    """Adds a loss where the probability rises along a chain of tasks; passes logits on.

    loss = weight * mean over rows of sum_(k > 1) max(p_k - p_(k-1), 0), the behavioural
    expectation calibrator of AITM (equation 9), added through `add_loss` in training only.

    Args:
        weight: Its factor in the total loss; the paper takes .6.

    Inputs: logits [B, K] of binary tasks; task k + 1 can happen only after task k.
    Outputs: the same logits.

    Raises:
        ValueError: `weight` is not a number >= 0.

    Example:
        >>> layer = OrderCalibrator(weight=0.6)
        >>> _ = layer(tf.constant([[0.0, 100.0]]), training=True)
        >>> print(layer.losses[0].numpy().round(2))
        0.3

    References:
        Modeling the Sequential Dependence among Audience Multi-step Conversions with Multi-task
        Learning in Targeted Display Advertising, KDD 2021, arXiv 2105.08489.
    """

    def __init__(self, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight >= 0:
            raise ValueError(f"`weight` should be a number >= 0. Received: {weight!r}.")
        self.weight = weight

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        if training:
            probabilities = tf.sigmoid(inputs)
            rises = tf.nn.relu(probabilities[:, 1:] - probabilities[:, :-1])  # [B, K - 1]
            self.add_loss(self.weight * tf.reduce_mean(tf.reduce_sum(rises, axis=1)))
        return inputs

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs the outputs of `tasks` need."""
        return tasks

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}
