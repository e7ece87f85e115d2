"""A loss scale that follows what float16 can hold."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


class LossScale(tf.Module):
    """What the loss is multiplied by, so that float16 loses neither small nor large gradients.

    Halved by every step whose gradients overflow, doubled after `growth_steps` others in a row.
    (Keras has the same in an optimiser around another one; here tables and dense weights have two
    optimisers and must skip the same steps.) The methods belong in cross-replica context.

    Args:
        initial: The first scale, a power of 2: multiplying by it rounds nothing.
        growth_steps: After how many sound steps a larger one is tried.

    Reference: Mixed Precision Training, arXiv 1710.03740, section 3.2.

    >>> scale = LossScale(initial=2.0, growth_steps=2)
    >>> bool(scale.lower()), float(scale.value)
    (True, 1.0)
    >>> bool(scale.lower()), float(scale.value)  # 1 is the least
    (False, 1.0)
    >>> for _ in range(2):
    ...     scale.keep()
    >>> float(scale.value)
    2.0
    """

    def __init__(self, initial: float = 2.0 ** 15, growth_steps: int = 2000) -> None:
        super().__init__()
        self._growth_steps = growth_steps
        self.value = tf.Variable(initial, trainable=False)
        self._sound_steps = tf.Variable(0, trainable=False)

    def keep(self) -> None:
        """After a step with finite gradients."""
        sound = self._sound_steps.read_value() + 1
        grows = sound >= self._growth_steps
        self._sound_steps.assign(tf.where(grows, 0, sound))
        self.value.assign(self.value.read_value() * tf.where(grows, 2.0, 1.0))

    def lower(self) -> Tensor:
        """After a step with other gradients; returns whether a lower scale is left to try."""
        before = self.value.read_value()
        self._sound_steps.assign(0)
        self.value.assign(tf.maximum(before / 2.0, 1.0))
        return before > 1.0
