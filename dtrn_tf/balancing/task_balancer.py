"""Decides how much every task counts in a training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.balancing.gradient_methods import GradientMethod, state

Tensor = Any


class TaskBalancer(tf.Module):
    """Loss weighting, then a gradient method on the weights that tasks share.

    Args:
        task_weights: Fixed weights of the tasks' losses, which learned ones multiply. [K]
        loss_weighting: What `make_loss_weighting` gives.
        gradient_method: A `GradientMethod`, or None: gradients are summed.

    Attributes:
        applied: Weights of the last step on the shared weights, for reports. [K]

    >>> from dtrn_tf.balancing import make_loss_weighting
    >>> balancer = TaskBalancer([1.0, 3.0], make_loss_weighting("fixed", 2))
    >>> own, shared = balancer(tf.constant([0.5, 0.7]))
    >>> own.numpy().tolist(), shared.numpy().tolist()
    ([1.0, 3.0], [1.0, 3.0])
    """

    def __init__(self, task_weights: Sequence[float], loss_weighting: Any,
                 gradient_method: GradientMethod | None = None) -> None:
        super().__init__()
        self._task_weights = tf.constant(task_weights, tf.float32)
        self._loss_weighting = loss_weighting
        self._gradient_method = gradient_method
        self.applied = state(tf.constant(task_weights, tf.float32))

    @property
    def needs_gradients(self) -> bool:
        """Whether a step must differentiate every task's loss by itself."""
        return self._gradient_method is not None or self._loss_weighting.needs_norms

    def __call__(self, losses: Tensor, gram: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Weights of the tasks in this step; learns from what it sees.

        Args:
            losses: Mean losses of the whole batch. [K]
            gram: Scalar products of their gradients on the shared weights, if needed. [K, K]

        Returns:
            Weights of the losses for what belongs to single tasks, and for shared weights. [K] each
        """
        if gram is not None:
            # Gradients that overflow say nothing, and what is remembered must stay finite: such a
            # step changes no weight anyway.
            usable = tf.reduce_all(tf.math.is_finite(gram))
            gram = tf.where(usable, gram, tf.eye(gram.shape[0], dtype=gram.dtype))
        norms = None if gram is None else tf.sqrt(tf.linalg.diag_part(gram))
        own = self._task_weights * self._loss_weighting(losses, norms)
        shared = own
        if gram is not None and self._gradient_method is not None:
            shared = own * self._gradient_method(gram * own[:, tf.newaxis] * own)
        self.applied.assign(shared)
        return own, shared
