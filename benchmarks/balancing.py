"""Time training steps with loss weighting and gradient methods against steps with neither.

    python -m benchmarks.balancing --core=0

Whole steps at the reference point, as in benchmarks.train_step. All gradient methods differentiate
every task's loss by itself; they differ in a K x K problem alone, so a few stand for all. `look` is
what pipelines.train does every --watch_every steps without any method, on the batch of a step;
`curves` is what it writes after every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from benchmarks import machine, step_flags
from benchmarks.cases import Case
from benchmarks.reference_point import make_schema
from benchmarks.timing import interleaved, ratio_table, ratios
from dtrn_tf.balancing import GradientMethod, TaskBalancer, make_loss_weighting
from dtrn_tf.training import make_strategy
from dtrn_tf.training.reporter import Reporter
from dtrn_tf.training.watch import Watch
from tqdm import tqdm

_METHODS = flags.DEFINE_list(
    "methods", ["dwa", "gradnorm", "pcgrad", "cagrad", "nash"],
    "Loss weightings and gradient methods to time.")
_WATCH_EVERY = flags.DEFINE_integer(
    "watch_every", 200, "Steps between two looks, for their share of a step.", lower_bound=1)
_STEPS_PER_CALL = flags.DEFINE_integer(
    "steps_per_call", 20, "Steps between two writings of curves.", lower_bound=1)
_REFERENCE = "none"


def main() -> None:
    step_flags.pin()
    point = step_flags.reference_point()
    cases = {name: Case(point=point, balancer=lambda n, name=name: _balancer(name, n))
             for name in [_REFERENCE, *_METHODS.value]}
    calls: dict[str, Callable[[], Any]] = {name: c.training(1) for name, c in cases.items()}
    times = interleaved(calls | _watching(cases[_REFERENCE]), step_flags.ROUNDS.value)
    print(machine.describe())
    print(ratio_table(times, _REFERENCE))
    relative = {name: float(np.median(r)) for name, r in ratios(times, _REFERENCE).items()}
    share = (relative["look"] / _WATCH_EVERY.value
             + relative["curves"] / _STEPS_PER_CALL.value)
    print(f"A look every {_WATCH_EVERY.value} steps and curves every {_STEPS_PER_CALL.value} cost "
          f"{share:.2%} of the steps.")


def _balancer(name: str, num_tasks: int) -> TaskBalancer:
    weighting = name if name in ("dwa", "gradnorm", "uncertainty", "imtl_l") else "fixed"
    method = None if weighting != "fixed" or name == _REFERENCE else GradientMethod(name, num_tasks)
    return TaskBalancer([1.0] * num_tasks, make_loss_weighting(weighting, num_tasks), method)


def _watching(case: Case) -> dict[str, Callable[[], Any]]:
    """A look at a batch, and one call's curves written to a file."""
    schema, (batch,) = make_schema(case.point), case.batches(1)
    model = case.model()
    watch = Watch(model, schema, make_strategy("cpu"))
    done = case.training(1, model)()
    seen = watch(batch)
    writer = tf.summary.create_file_writer(step_flags.directory())
    reporter = Reporter(schema.task_names, tqdm(disable=True))

    def curves() -> None:
        with writer.as_default():
            reporter.steps(done, 1, 1.0)
            reporter.balance(_balancer(_REFERENCE, case.point.num_tasks), 1)

    def look() -> None:
        with writer.as_default():
            reporter.watched(watch(batch), 1)

    del seen
    return {"look": look, "curves": curves}


if __name__ == "__main__":
    program.run(main)
