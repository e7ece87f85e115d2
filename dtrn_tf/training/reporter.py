"""What a run says while it trains: TensorBoard, the progress line, validation results."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence

import tensorflow as tf
from tqdm import tqdm

from dtrn_tf.balancing import TaskBalancer
from dtrn_tf.training.collapse import collapsed
from dtrn_tf.training.steps_done import StepsDone
from dtrn_tf.training.watch import Watched

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
        self._warned: set[str] = set()

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
        """The tasks' weights."""
        for task, weight in zip(self._tasks, balancer.applied.numpy()):
            tf.summary.scalar(f"train/weight/{task}", weight, step=step)

    def watched(self, seen: Watched, step: int) -> None:
        """Gradients of the tasks, gates, and a warning, once, of what has collapsed."""
        for task, norm in zip(self._tasks, seen.norms.numpy()):
            tf.summary.scalar(f"train/gradient_norm/{task}", norm, step=step)
        cosines = seen.cosines.numpy()
        for (i, first), (j, second) in itertools.combinations(enumerate(self._tasks), 2):
            tf.summary.scalar(f"train/gradient_cosine/{first}/{second}", cosines[i, j], step=step)
        for gate in seen.shares:
            self._gate(gate, seen, step)

    def _gate(self, gate: str, seen: Watched, step: int) -> None:
        names = seen.mixture_names(gate, self._tasks)
        entropies, shares = seen.entropies[gate].numpy(), seen.shares[gate].numpy()
        for name, entropy in zip(names, entropies):
            tf.summary.scalar(f"train/gate_entropy/{gate}/{name}", entropy, step=step)
        for expert, share in enumerate(shares.mean(0)):
            tf.summary.scalar(f"train/expert_share/{gate}/{expert}", share, step=step)
        for text in collapsed(gate, names, entropies, shares):
            if text not in self._warned:
                self._progress.write(f"warning: step {step}: {text}; see docs/watching.md",
                                     file=sys.stderr)
            self._warned.add(text)

    def evaluation(self, results: Results, step: int, better: bool) -> None:
        """Metrics on the validation records."""
        for task, metrics in results.items():
            for name, value in metrics.items():
                tf.summary.scalar(f"valid/{name}/{task}", value, step=step)
        aucs = "  ".join(f"{task} {metrics['auc']:.4f}" for task, metrics in results.items()
                         if "auc" in metrics)
        self._progress.write(f"step {step}: validation AUC {aucs}{'  (best)' if better else ''}")
