"""Optimisers."""

from __future__ import annotations

from typing import Any

from absl import flags

from dtrn_tf.errors import UserError
from dtrn_tf.optimizers import (OPTIMIZER_NAMES, ROW_OPTIMIZER_NAMES, SCHEDULE_NAMES,
                                PairedOptimizer, Schedule, make_optimizer, make_row_optimizer,
                                make_schedule)
from dtrn_tf.training.freezing import freeze
from pipelines.numerics_flags import clip_norm, loss_scale

_EMBEDDING_OPTIMIZER = flags.DEFINE_enum(
    "embedding_optimizer", "lazy_adam", ROW_OPTIMIZER_NAMES,
    "Optimiser of the embedding tables; it updates only the rows that a batch looks up. "
    "`lazy_adam` keeps 8 bytes times the width for every row, `rowwise_adagrad` 4 bytes.")
_EMBEDDING_LEARNING_RATE = flags.DEFINE_float(
    "embedding_learning_rate", 6e-3, "Learning rate of the embedding tables.", lower_bound=0.0)
_EMBEDDING_WEIGHT_DECAY = flags.DEFINE_float(
    "embedding_weight_decay", 0.0,
    "Share of a row that decays with an update, times the learning rate (as in AdamW); rows that "
    "a batch does not look up do not decay.", lower_bound=0.0)
_DENSE_OPTIMIZER = flags.DEFINE_enum(
    "dense_optimizer", "adam", OPTIMIZER_NAMES, "Optimiser of all other weights.")
_DENSE_LEARNING_RATE = flags.DEFINE_float(
    "dense_learning_rate", 2e-3, "Learning rate of all other weights.", lower_bound=0.0)
_SCHEDULE = flags.DEFINE_enum(
    "learning_rate_schedule", "constant", SCHEDULE_NAMES,
    "How both learning rates fall from the end of the warm-up to the last step of --epochs.")
_FINAL_SHARE = flags.DEFINE_float(
    "final_learning_rate_share", 0.01, "What a schedule leaves of the learning rates at the end.",
    lower_bound=0.0, upper_bound=1.0)
_WARMUP_STEPS = flags.DEFINE_integer(
    "warmup_steps", 0, "First steps in which both learning rates rise in a straight line.",
    lower_bound=0)
_FREEZE = flags.DEFINE_list(
    "freeze", [], "Weights that stay as they are, by patterns of their names: "
    "embedding/*,interest/*; a pattern that matches nothing lists the names.")


def build_optimizer(model: Any, total_steps: int) -> PairedOptimizer:
    """The optimisers that the flags describe, of all weights that are not frozen.

    Args:
        model: A `DTRN` that is built; weights become frozen here.
        total_steps: Of the whole run, for the schedule.
    """
    if _FREEZE.value:
        print("frozen: " + ", ".join(freeze(model, _FREEZE.value)))
    rows = make_row_optimizer(
        _EMBEDDING_OPTIMIZER.value, _rate(_EMBEDDING_LEARNING_RATE.value, total_steps),
        _EMBEDDING_WEIGHT_DECAY.value)
    rate = _rate(_DENSE_LEARNING_RATE.value, total_steps)
    # One count of steps for both: ours.
    rate = rate.counted_by(rows.steps) if isinstance(rate, Schedule) else rate
    return PairedOptimizer(rows, make_optimizer(_DENSE_OPTIMIZER.value, rate),
                           model.embedding_tables, model.dense_weights, clip_norm(), loss_scale())


def optimizer_names() -> dict[str, str]:
    """The kinds of both optimisers, by flag."""
    return {flag.name: flag.value for flag in (_EMBEDDING_OPTIMIZER, _DENSE_OPTIMIZER)}


def _rate(learning_rate: float, total_steps: int) -> float | Schedule:
    if _SCHEDULE.value != "constant" and _WARMUP_STEPS.value >= total_steps:
        raise UserError(f"--warmup_steps should leave some of the {total_steps} steps to "
                        f"--learning_rate_schedule={_SCHEDULE.value}. Received: "
                        f"{_WARMUP_STEPS.value}.")
    if _SCHEDULE.value == "exponential" and not _FINAL_SHARE.value:
        raise UserError("--final_learning_rate_share should be more than 0 for "
                        "--learning_rate_schedule=exponential. Received: 0.")
    return make_schedule(
        _SCHEDULE.value, learning_rate, total_steps=total_steps,
        warmup_steps=_WARMUP_STEPS.value, final_share=_FINAL_SHARE.value)
