"""Learning rates that change with the steps that are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any
schedules = tf.keras.optimizers.schedules

# How the rate falls from `rate` to `rate * share` in `steps` steps.
_DECAYS: dict[str, Callable[[float, int, float], Any]] = {
    "linear": lambda rate, steps, share: schedules.PolynomialDecay(rate, steps, rate * share),
    "cosine": lambda rate, steps, share: schedules.CosineDecay(rate, steps, alpha=share),
    "exponential": lambda rate, steps, share: schedules.ExponentialDecay(rate, steps, share),
}
SCHEDULE_NAMES = ("constant", *_DECAYS)


class Schedule(schedules.LearningRateSchedule):  # type: ignore[name-defined]
    """A warm-up, then a decay.

        rate(step) = min(1, (step + 1) / warmup_steps) * decay(max(0, step - warmup_steps))

    Args:
        decay: Gives the rate after so many steps.
        warmup_steps: Steps in which the rate rises in a straight line; the last of them has all
            of it.
        count: The number of steps done, to use in place of what the optimiser counts, or None.

    >>> schedule = Schedule(lambda step: 0.5, warmup_steps=2)
    >>> [float(schedule(step)) for step in (0, 1, 2)]
    [0.25, 0.5, 0.5]
    """

    def __init__(self, decay: Callable[[Tensor], Any], warmup_steps: int = 0,
                 count: tf.Variable | None = None) -> None:
        self._decay = decay
        self._warmup_steps = warmup_steps
        self._count = count

    def __call__(self, step: Tensor) -> Tensor:
        step = tf.cast(step if self._count is None else self._count, tf.float32)
        rate = tf.cast(self._decay(tf.maximum(step - self._warmup_steps, 0.0)), tf.float32)
        return rate * tf.minimum((step + 1.0) / max(self._warmup_steps, 1), 1.0)

    def counted_by(self, count: tf.Variable) -> Schedule:
        """The same schedule of another count of steps."""
        return Schedule(self._decay, self._warmup_steps, count)


def make_schedule(name: str, learning_rate: float, *, total_steps: int, warmup_steps: int = 0,
                  final_share: float = 0.01) -> float | Schedule:
    """A learning rate by the name of its schedule.

    Args:
        name: One of `SCHEDULE_NAMES`.
        learning_rate: The highest rate.
        total_steps: When the decay is at its end.
        warmup_steps: Steps before the decay in which the rate rises.
        final_share: What is left of the rate after `total_steps`; more than 0 for `exponential`.

    Returns:
        A number if the rate never changes.

    Raises:
        ValueError: Unknown name, no step is left for the decay, or a share out of range.

    >>> schedule = make_schedule("exponential", 0.5, total_steps=2, final_share=0.25)
    >>> [float(schedule(step)) for step in (0, 1, 2)]
    [0.5, 0.25, 0.125]
    """
    if name not in SCHEDULE_NAMES:
        raise ValueError(f"`name` should be one of {SCHEDULE_NAMES}. Received: {name!r}.")
    if name == "constant":
        return Schedule(lambda _: learning_rate, warmup_steps) if warmup_steps else learning_rate
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(f"`warmup_steps` should leave some of the {total_steps} steps to the "
                         f"decay. Received: {warmup_steps}.")
    if not 0.0 <= final_share <= 1.0 or (name == "exponential" and not final_share):
        raise ValueError("`final_share` should be from 0 to 1, and for 'exponential' more than 0. "
                         f"Received: {final_share}.")
    return Schedule(_DECAYS[name](learning_rate, total_steps - warmup_steps, final_share),
                    warmup_steps)
