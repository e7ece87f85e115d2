"""Which evaluation was the best, and when to stop waiting for a better one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from dtrn_tf.errors import UserError

# Metrics of which less is better.
_LOWER_IS_BETTER = ("log_loss", "normalized_entropy", "squared_error")


class Selection(tf.Module):
    """Keeps the best value of the selection metric; part of the checkpoint.

    Args:
        metric: `mean_auc` (the mean over tasks), or `TASK/METRIC`, for example `like/auc`.
        patience: Stop after this many evaluations without a better one; 0 never stops.

    >>> selection = Selection("mean_auc", patience=1)
    >>> selection.update({"click": {"auc": 0.5}, "buy": {"auc": 0.7}}, step=10)
    True
    >>> selection.update({"click": {"auc": 0.5}, "buy": {"auc": 0.6}}, step=20)
    False
    >>> selection.should_stop, selection.best_step
    (True, 10)
    """

    def __init__(self, metric: str = "mean_auc", patience: int = 0) -> None:
        super().__init__()
        self._metric = metric
        self._patience = patience
        self._best = tf.Variable(-math.inf, dtype=tf.float64, trainable=False)
        self._best_step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._without_better = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def best_step(self) -> int:
        return int(self._best_step)

    @property
    def should_stop(self) -> bool:
        return 0 < self._patience <= int(self._without_better)

    def update(self, results: Mapping[str, Mapping[str, float]], step: int) -> bool:
        """Takes an evaluation; returns whether it is the best so far.

        Args:
            results: {task: {metric: value}}.
            step: The training step of the evaluation.

        Raises:
            UserError: The metric is not among the results.
        """
        value = selection_value(results, self._metric)
        better = value > float(self._best) or self.best_step == 0
        if better:
            self._best.assign(value)
            self._best_step.assign(step)
        self._without_better.assign(0 if better else self._without_better + 1)
        return better


def selection_value(results: Mapping[str, Mapping[str, float]], metric: str) -> float:
    """The value to select by, larger is better; undefined counts as the worst.

    >>> selection_value({"buy": {"log_loss": 0.25}}, "buy/log_loss")
    -0.25
    """
    if metric.startswith("mean_"):
        name = metric.removeprefix("mean_")
        values = [task[name] for task in results.values() if name in task]
    else:
        task_name, _, name = metric.partition("/")
        values = [results[task_name][name]] if name in results.get(task_name, {}) else []
    if not values:
        known = sorted({key for task in results.values() for key in task})
        raise UserError(f"--selection_metric should be mean_METRIC or TASK/METRIC with a task of "
                        f"{sorted(results)} and a metric of {known}. Received: {metric!r}.")
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return -math.inf
    mean = sum(values) / len(values)
    return -mean if name in _LOWER_IS_BETTER else mean
