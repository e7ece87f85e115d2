"""What a run says while it trains: TensorBoard, the progress line, validation results."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from dtrn_tf.balancing import TaskBalancer
from dtrn_tf.training.steps_done import StepsDone

Results = Mapping[str, Mapping[str, float]]


class Reporter:
    """Writes curves to the default summary writer, and lines to a progress bar.

    Args:
        tasks: Names of the tasks.
        progress: The progress bar.
    """

    def __init__(self, tasks: Sequence[str], progress: tqdm) -> None:
        self._tasks = tasks
        self._progress = progress

    def steps(self, done: StepsDone, step: int, seconds: float) -> None:
        """Some steps, the last of them number `step`, which took `seconds` with their input."""
        losses, speed = done.losses.numpy(), int(done.rows) / seconds
        for task, loss in zip(self._tasks, losses):
            tf.summary.scalar(f"train/loss/{task}", loss, step=step)
        tf.summary.scalar("train/examples_per_second", speed, step=step)
        tf.summary.scalar("train/input_wait_share", float(done.input_seconds) / seconds, step=step)
        self._progress.set_postfix_str(f"loss {losses.sum():.4f}, {speed:,.0f} examples/s",
                                       refresh=False)
        self._progress.update(int(done.count))

    def balance(self, balancer: TaskBalancer, step: int) -> None:
        """The tasks' weights, and the cosines of their gradients where every step has them."""
        for task, weight in zip(self._tasks, balancer.applied.numpy()):
            tf.summary.scalar(f"train/weight/{task}", weight, step=step)
        if balancer.needs_gradients:
            self.cosines(balancer.cosines.numpy(), step)

    def cosines(self, cosines: Any, step: int) -> None:
        """Cosines of the tasks' gradients on the shared weights. [K, K]"""
        for (i, first), (j, second) in itertools.combinations(enumerate(self._tasks), 2):
            tf.summary.scalar(f"train/gradient_cosine/{first}/{second}", cosines[i, j], step=step)

    def evaluation(self, results: Results, step: int, better: bool) -> None:
        """Metrics on the validation records."""
        for task, metrics in results.items():
            for name, value in metrics.items():
                tf.summary.scalar(f"valid/{name}/{task}", value, step=step)
        aucs = "  ".join(f"{task} {metrics['auc']:.4f}" for task, metrics in results.items()
                         if "auc" in metrics)
        self._progress.write(f"step {step}: validation AUC {aucs}{'  (best)' if better else ''}")
