"""What a run says while it trains: TensorBoard, the progress line, validation results."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from dtrn_tf.balancing import TaskBalancer
from dtrn_tf.training.collapse import collapsed
from dtrn_tf.training.curves import write_scalars
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
        write_scalars({
            **{f"train/loss/{task}": loss for task, loss in zip(self._tasks, losses)},
            "train/examples_per_second": speed,
            "train/input_wait_share": float(done.input_seconds) / seconds}, step)
        self._progress.set_postfix_str(f"loss {losses.sum():.4f}, {speed:,.0f} examples/s",
                                       refresh=False)
        self._progress.update(int(done.count))

    def balance(self, balancer: TaskBalancer, step: int) -> None:
        """The tasks' weights."""
        write_scalars({f"train/weight/{task}": weight for task, weight in zip(
            self._tasks, balancer.applied.numpy())}, step)

    def watched(self, seen: Watched, step: int) -> None:
        """Gradients of the tasks, gates, and a warning, once, of what has collapsed."""
        cosines = seen.cosines.numpy()
        write_scalars({
            **{f"train/gradient_norm/{task}": norm
               for task, norm in zip(self._tasks, seen.norms.numpy())},
            **{f"train/gradient_cosine/{first}/{second}": cosines[i, j] for (i, first), (j, second)
               in itertools.combinations(enumerate(self._tasks), 2)}}, step)
        for gate in seen.shares:
            self._gate(gate, seen, step)

    def _gate(self, gate: str, seen: Watched, step: int) -> None:
        names = seen.mixture_names(gate, self._tasks)
        entropies, shares = seen.entropies[gate].numpy(), seen.shares[gate].numpy()
        write_scalars({
            **{f"train/gate_entropy/{gate}/{name}": entropy
               for name, entropy in zip(names, entropies)},
            **{f"train/expert_share/{gate}/{expert}": share
               for expert, share in enumerate(shares.mean(0))}}, step)
        for text in collapsed(gate, names, entropies, shares):
            if text not in self._warned:
                self._progress.write(f"warning: step {step}: {text}; see docs/watching.md",
                                     file=sys.stderr)
            self._warned.add(text)

    def evaluation(self, results: Results, step: int, better: bool) -> None:
        """Metrics on the validation records."""
        write_scalars({f"valid/{name}/{task}": value for task, metrics in results.items()
                       for name, value in metrics.items()}, step)
        aucs = "  ".join(f"{task} {metrics['auc']:.4f}" for task, metrics in results.items()
                         if "auc" in metrics)
        self._progress.write(f"step {step}: validation AUC {aucs}{'  (best)' if better else ''}")
