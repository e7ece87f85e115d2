"""Starting from another run."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from absl import flags

from dtrn_tf.errors import UserError
from dtrn_tf.optimizers import PairedOptimizer, Schedule, make_optimizer, make_row_optimizer
from dtrn_tf.training import RunDirectory
from dtrn_tf.training.carried_slots import carry_slots
from dtrn_tf.training.checkpoints import checkpoint_steps
from dtrn_tf.training.freezing import freeze
from dtrn_tf.training.kept_inputs import write_kept_inputs
from dtrn_tf.training.trained_state import holds_parts
from dtrn_tf.training.warm_start import Pairs, WarmStart, check_run
from pipelines.optimizer_flags import optimizer_names

_WARM_START = flags.DEFINE_string(
    "warm_start", None,
    "Directory of another run whose best model this one begins with; ids, tasks, features and "
    "behaviours are matched by name.")
_FRESH = flags.DEFINE_list(
    "warm_start_fresh", [], "Weights that are not taken over, by patterns of their names: "
    "wide/*,network/*.")
_START_TASKS = flags.DEFINE_list(
    "warm_start_task", [], "What new tasks start from, NEW:FROM, as in share:like; others start "
    "fresh.")
_IDS = flags.DEFINE_enum(
    "warm_start_ids", "keep", ["keep", "new"],
    "Which ids the tables hold: those of the run to start from and the new ones, or the new "
    "vocabularies alone.")
_STATISTICS = flags.DEFINE_enum(
    "warm_start_statistics", "keep", ["keep", "new"],
    "Which mean and std normalise numbers: those that the weights know, or those of the new "
    "records.")


@contextlib.contextmanager
def files_to_start_with(data_dir: str, run: RunDirectory) -> Iterator[str]:
    """A directory with the schema, vocabularies and statistics of a new run.

    Reads flags, so only programs call it.
    """
    if not _WARM_START.value or run.is_started:
        yield data_dir
        return
    check_run(_WARM_START.value)
    with tempfile.TemporaryDirectory() as directory:
        print(write_kept_inputs(
            data_dir, _WARM_START.value, directory, keep_ids=_IDS.value == "keep",
            keep_statistics=_STATISTICS.value == "keep"), end="")
        yield directory


def warm_start(model: Any, optimizer: PairedOptimizer, run: RunDirectory) -> None:
    """Starts a run as the flags say, unless it has a checkpoint to go on from."""
    if not _WARM_START.value or checkpoint_steps(run.file("checkpoints")):
        return
    start = WarmStart(_WARM_START.value, _FRESH.value, _tasks())
    pairs = start.apply(model, run.path)
    print(start.table())
    print(_carry_slots(optimizer, start, pairs) + "\n")


def _tasks() -> dict[str, str]:
    pairs = [text.split(":") for text in _START_TASKS.value]
    if any(len(pair) != 2 for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise UserError("--warm_start_task should be pairs NEW:FROM, each task once in front, as "
                        f"in share:like. Received: {','.join(_START_TASKS.value)}.")
    return {new: start for new, start in pairs}


def _carry_slots(optimizer: PairedOptimizer, start: WarmStart, pairs: Pairs) -> str:
    """Carries them over if there are any of the same optimisers; says what was done."""
    before = RunDirectory(start.source).read_flags()
    steps = checkpoint_steps(os.path.join(start.source, "checkpoints"))
    names = {name: before.get(name, "") for name in optimizer_names()}
    if not steps or names != optimizer_names():
        reason = ("it has no checkpoint" if not steps else
                  "its were " + ", ".join(f"--{name}={value}" for name, value in names.items()))
        return f"The optimisers begin anew: {reason}."
    source = _optimizer_of(start.model, before)
    path = os.path.join(start.source, "checkpoints", f"ckpt-{steps[0]}", "state")
    try:
        if holds_parts(path):
            return "The optimisers begin anew: its tables were split over servers."
        status = tf.train.Checkpoint(optimizer=source).read(path)
        status.assert_existing_objects_matched().expect_partial()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        raise UserError(f"{path}: should hold the optimisers of that run. Received: "
                        f"{str(error).splitlines()[0]}. Remedy: delete its checkpoints, so that "
                        "the optimisers begin anew.") from error
    anew = carry_slots(optimizer, source, pairs)
    return (f"The optimisers go on with what they knew after step {steps[0]}"
            + (f", but for {', '.join(anew)}, which were frozen." if anew else "."))


def _optimizer_of(model: Any, before: dict[str, str]) -> PairedOptimizer:
    """The optimisers of the run to start from, around its own weights."""
    if before.get("freeze"):
        freeze(model, before["freeze"].split(","))
    schedule = (before.get("learning_rate_schedule", "constant") != "constant"
                or before.get("warmup_steps", "0") != "0")
    return PairedOptimizer(
        make_row_optimizer(before["embedding_optimizer"], 0.0),
        make_optimizer(before["dense_optimizer"],
                       Schedule(lambda step: 0.0) if schedule else 0.0),
        model.embedding_tables, model.dense_weights)
