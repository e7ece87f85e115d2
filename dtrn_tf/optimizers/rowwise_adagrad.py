"""Adagrad with one number a row."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


class RowwiseAdagrad:
    """Row-wise Adagrad: the rate of a row falls with the gradients that it has seen.

        a <- a + mean(g^2)        step = g / sqrt(a)

    Memory: 4 bytes a row, the sum `a`, whatever the width.

    Args:
        epsilon: Added to the root.

    Reference: arXiv 1906.00091 (DLRM), section 4.

    >>> step, total = RowwiseAdagrad()(tf.constant([[3.0, -3.0]]), tf.constant([[0.0]]))
    >>> step.numpy().tolist(), total.numpy().tolist()
    ([[1.0, -1.0]], [[9.0]])
    """

    def __init__(self, epsilon: float = 1e-8) -> None:
        self._epsilon = epsilon

    def slot_width(self, width: int) -> int:
        """Numbers kept for a row of this width."""
        return 1

    def scale(self, step: Tensor) -> Tensor:
        """What the learning rate is multiplied by in step 1, 2, ..."""
        return tf.ones_like(step)

    def __call__(self, gradient: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        """The step of every row, and its new slot. [N, D], [N, 1] -> [N, D], [N, 1]"""
        total = slot + tf.reduce_mean(tf.square(gradient), 1, keepdims=True)
        return gradient / (tf.sqrt(total) + self._epsilon), total
