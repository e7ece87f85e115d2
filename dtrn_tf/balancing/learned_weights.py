"""Loss weightings by name, with what they learn and remember."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.balancing.gradient_methods import state
from dtrn_tf.balancing.loss_weighting import (dynamic_weight_average, gradnorm, impartial,
                                              uncertainty)

Tensor = Any
LOSS_WEIGHTINGS = ("fixed", "uncertainty", "imtl", "dwa", "gradnorm")


class FixedWeights(tf.Module):
    """1 for every task.

    >>> FixedWeights(2)(tf.constant([0.5, 0.7]), None).numpy().tolist()
    [1.0, 1.0]
    """

    needs_norms = False

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self._weights = tf.ones([num_tasks])

    def __call__(self, losses: Tensor, norms: Tensor | None) -> Tensor:
        """Weights of the losses. [K], [K] -> [K]"""
        return self._weights


class LearnedScales(tf.Module):
    """Weights from one number per task that follows a gradient: uncertainty, IMTL-L.

    Args:
        rule: `uncertainty` or `impartial`.
        num_tasks: K.
        learning_rate: Of the numbers.
    """

    needs_norms = False

    def __init__(self, rule: Any, num_tasks: int, learning_rate: float) -> None:
        super().__init__()
        self._rule = rule
        self._rate = learning_rate
        self._scales = state(tf.zeros([num_tasks]))

    def __call__(self, losses: Tensor, norms: Tensor | None) -> Tensor:
        """Weights of the losses. [K], [K] -> [K]"""
        weights, slope = self._rule(losses, self._scales.read_value())
        self._scales.assign_sub(self._rate * slope)
        return weights


class GradNorm(tf.Module):
    """Weights that bring the tasks' gradients to comparable norms; see `gradnorm`.

    Args:
        num_tasks: K.
        learning_rate: Of the numbers behind the weights.
        asymmetry: How strongly tasks that lag are pulled up.
    """

    needs_norms = True

    def __init__(self, num_tasks: int, learning_rate: float, asymmetry: float) -> None:
        super().__init__()
        self._rate = learning_rate
        self._asymmetry = asymmetry
        self._scales = state(tf.zeros([num_tasks]))
        self._first_losses = state(tf.zeros([num_tasks]))

    def __call__(self, losses: Tensor, norms: Tensor | None) -> Tensor:
        """Weights of the losses. [K], [K] -> [K]"""
        # A task without rows in the first batches has no first loss yet.
        first = self._first_losses.read_value()
        first = tf.where(first > 0, first, losses)
        self._first_losses.assign(first)
        weights, slope = gradnorm(losses, first, norms, self._scales.read_value(),
                                  self._asymmetry)
        # Relative to the mean norm, so that the rate does not depend on the scale of the losses.
        self._scales.assign_sub(self._rate * tf.math.divide_no_nan(slope, tf.reduce_mean(norms)))
        return weights


class DynamicWeightAverage(tf.Module):
    """Weights from how fast the mean losses fell over the last two periods.

    Args:
        num_tasks: K.
        period: Steps of a period, usually an epoch.
        temperature: Higher means more equal weights.

    >>> weights = DynamicWeightAverage(2, period=1, temperature=1.0)
    >>> for losses in ([1.0, 1.0], [1.0, 0.5], [1.0, 0.5]):
    ...     last = weights(tf.constant(losses), None)
    >>> [round(float(w), 4) for w in last]
    [1.2449, 0.7551]
    """

    needs_norms = False

    def __init__(self, num_tasks: int, period: int, temperature: float) -> None:
        super().__init__()
        self._period = period
        self._temperature = temperature
        self._steps = state(tf.zeros([], tf.int64))
        self._sum = state(tf.zeros([num_tasks]))
        self._last = state(tf.zeros([num_tasks]))
        self._before = state(tf.zeros([num_tasks]))

    def __call__(self, losses: Tensor, norms: Tensor | None) -> Tensor:
        """Weights of the losses. [K], [K] -> [K]"""
        last, before = self._last.read_value(), self._before.read_value()
        weights = dynamic_weight_average(last, before, self._temperature)
        steps = self._steps.assign_add(1)
        total = self._sum.read_value() + losses
        ends = steps % self._period == 0
        self._before.assign(tf.where(ends, last, before))
        self._last.assign(tf.where(ends, total / self._period, last))
        self._sum.assign(tf.where(ends, tf.zeros_like(total), total))
        # Two whole periods are needed to compare.
        return tf.where(tf.reduce_any(before > 0), weights, 1.0)


def make_loss_weighting(name: str, num_tasks: int, *, learning_rate: float = 0.01,
                        gradnorm_asymmetry: float = 1.5, dwa_period: int = 1000,
                        dwa_temperature: float = 2.0) -> Any:
    """A loss weighting by its name in `LOSS_WEIGHTINGS`.

    >>> make_loss_weighting("uncertainty", 2)(tf.constant([1.0, 3.0]), None).numpy().tolist()
    [0.5, 0.5]
    """
    makers = {
        "fixed": lambda: FixedWeights(num_tasks),
        "uncertainty": lambda: LearnedScales(uncertainty, num_tasks, learning_rate),
        "imtl": lambda: LearnedScales(impartial, num_tasks, learning_rate),
        "dwa": lambda: DynamicWeightAverage(num_tasks, dwa_period, dwa_temperature),
        "gradnorm": lambda: GradNorm(num_tasks, learning_rate, gradnorm_asymmetry),
    }
    return makers[name]()
