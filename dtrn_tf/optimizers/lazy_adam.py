"""Adam for rows that are seen now and then."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


class LazyAdam:
    """Adam in which a row that is not looked up keeps value and moments.

        m <- m + (1 - beta_1) (g - m)      v <- v + (1 - beta_2) (g^2 - v)
        step = m / (sqrt(v) + epsilon)     scale(t) = sqrt(1 - beta_2^t) / (1 - beta_1^t)

    t counts the steps of the optimiser, not those of the row: with every row in every batch this is
    Keras Adam, and on KuaiRand it ranks better than a count per row.

    Memory: 8 bytes times the width a row, m and v side by side, so that they are read at once.

    Args:
        beta_1: Decay of m.
        beta_2: Decay of v.
        epsilon: Added to the root.

    Reference: arXiv 1412.6980, end of section 2, for `scale`.

    >>> adam = LazyAdam(beta_1=0.5, beta_2=0.75, epsilon=0.0)
    >>> step, moments = adam(tf.constant([[2.0]]), tf.constant([[0.0, 0.0]]))
    >>> step.numpy().tolist(), moments.numpy().tolist()
    ([[1.0]], [[1.0, 1.0]])
    """

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> None:
        self._beta_1 = beta_1
        self._beta_2 = beta_2
        self._epsilon = epsilon

    def slot_width(self, width: int) -> int:
        """Numbers kept for a row of this width."""
        return 2 * width

    def scale(self, step: Tensor) -> Tensor:
        """What the learning rate is multiplied by in step 1, 2, ..."""
        return tf.sqrt(1.0 - self._beta_2 ** step) / (1.0 - self._beta_1 ** step)

    def __call__(self, gradient: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        """The step of every row, and its new slot. [N, D], [N, 2D] -> [N, D], [N, 2D]"""
        m, v = tf.split(slot, 2, axis=1)
        m += (1.0 - self._beta_1) * (gradient - m)
        v += (1.0 - self._beta_2) * (tf.square(gradient) - v)
        return m / (tf.sqrt(v) + self._epsilon), tf.concat([m, v], 1)
