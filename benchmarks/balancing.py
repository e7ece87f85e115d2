"""Time training steps with loss weighting and gradient methods against steps with neither.

    python -m benchmarks.balancing --core=0

Whole steps at the reference point, as in benchmarks.train_step. All gradient methods differentiate
every task's loss by itself; they differ in a K x K problem alone, so a few stand for all. `look` is
what pipelines.train does every --watch_every steps without any method, on the batch of a step;
`curves` is what it writes after every call.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags
from tqdm import tqdm

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from benchmarks import machine, step_flags
from benchmarks.cases import Case
from benchmarks.timing import interleaved, ratio_table, ratios
from dtrn_tf.balancing import (GRADIENT_METHODS, LOSS_WEIGHTINGS, GradientMethod, TaskBalancer,
                               make_loss_weighting)
from dtrn_tf.errors import UserError
from dtrn_tf.training import make_strategy
from dtrn_tf.training.reporter import Reporter
from dtrn_tf.training.steps_done import StepsDone
from dtrn_tf.training.watch import Watch

_METHODS = flags.DEFINE_list(
    "methods", ["dwa", "gradnorm", "pcgrad", "cagrad", "nash"],
    "Loss weightings and gradient methods to time (imtl: the gradient method).")
_WATCH_EVERY = flags.DEFINE_integer(
    "watch_every", 200, "Steps between two looks, for their share of the steps.", lower_bound=1)
_STEPS_PER_CALL = flags.DEFINE_integer(
    "steps_per_call", 20, "Steps between two writings of curves.", lower_bound=1)
_REFERENCE = "none"


def main() -> None:
    known = sorted({*LOSS_WEIGHTINGS, *GRADIENT_METHODS} - {_REFERENCE})
    unknown = sorted(set(_METHODS.value) - set(known))
    if unknown:
        raise UserError(f"--methods should be of {known}. Received: {unknown}.")
    step_flags.pin()
    point = step_flags.reference_point()
    calls: dict[str, Callable[[], Any]] = {
        name: Case(point=point, balancer=functools.partial(_balancer, name)).training(1)
        for name in [_REFERENCE, *_METHODS.value]}
    with tempfile.TemporaryDirectory() as directory:
        calls |= _watching(Case(point=point), directory)
        times = interleaved(calls, step_flags.ROUNDS.value)
    print(machine.describe())
    print(ratio_table(times, _REFERENCE))
    relative = {name: float(np.median(of_rounds))
                for name, of_rounds in ratios(times, _REFERENCE).items()}
    share = relative["look"] / _WATCH_EVERY.value + relative["curves"] / _STEPS_PER_CALL.value
    print(f"A look every {_WATCH_EVERY.value} steps and curves every {_STEPS_PER_CALL.value} take "
          f"{share:.2%} of the time of the steps.")


def _balancer(name: str, num_tasks: int) -> TaskBalancer:
    is_method = name in GRADIENT_METHODS and name != _REFERENCE
    weighting = make_loss_weighting("fixed" if name in GRADIENT_METHODS else name, num_tasks)
    return TaskBalancer([1.0] * num_tasks, weighting,
                        GradientMethod(name, num_tasks) if is_method else None)


def _watching(case: Case, directory: str) -> dict[str, Callable[[], None]]:
    """A look at a batch, and the curves after a call, both written to a file."""
    model, (batch,) = case.model(), case.batches(1)
    watch = Watch(model, model.schema, make_strategy("auto"))
    num_tasks = case.point.num_tasks
    losses, balancer = tf.ones([num_tasks]), _balancer(_REFERENCE, num_tasks)
    done = StepsDone(losses, tf.constant(1024), tf.constant(1), tf.constant(True), losses,
                     tf.constant(0.1), batch)
    writer = tf.summary.create_file_writer(directory)
    reporter = Reporter(model.schema.task_names, tqdm(disable=True))

    def look() -> None:
        with writer.as_default():
            reporter.watched(watch(batch), 1)

    def curves() -> None:
        with writer.as_default():
            reporter.steps(done, 1, 1.0)
            reporter.balance(balancer, 1)

    return {"look": look, "curves": curves}


if __name__ == "__main__":
    program.run(main)
