"""Sizes of the reference point, and machine."""

from __future__ import annotations

from absl import flags

from benchmarks import timing
from benchmarks.reference_point import ReferencePoint

_NUM_TASKS = flags.DEFINE_integer(
    "num_tasks", ReferencePoint().num_tasks, "K, the tasks.", lower_bound=1)
_NUM_BEHAVIORS = flags.DEFINE_integer(
    "num_behaviors", ReferencePoint().num_behaviors, "T, the behaviour types.", lower_bound=1)
_NUM_BLOCKS = flags.DEFINE_integer(
    "num_blocks", ReferencePoint().num_blocks, "Transformer blocks, of every case.", lower_bound=1)
_FILL = flags.DEFINE_enum(
    "fill", "lognormal", ["lognormal", "full"],
    "Lengths of the sequences: log-normal with a third empty (30 % of all positions), or all full.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 1024, "Rows of a batch.", lower_bound=1)
_NUM_ITEMS = flags.DEFINE_integer(
    "num_items", ReferencePoint().num_items, "Rows of the item table.", lower_bound=1)
_EXPERT_UNITS = flags.DEFINE_integer(
    "expert_units", ReferencePoint().expert_units, "Width of MMoE's experts.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 15, "How often every case is timed.", lower_bound=1)
_CORE = flags.DEFINE_integer(
    "core", 0, "The core to run on, with one thread; negative: all cores, or the GPU.")


def pin() -> None:
    """Ties the process to the core of --core; call it before any op runs."""
    timing.pin(None if _CORE.value < 0 else _CORE.value)


def reference_point() -> ReferencePoint:
    """The reference point with the sizes that the flags give."""
    return ReferencePoint(
        num_tasks=_NUM_TASKS.value, num_behaviors=_NUM_BEHAVIORS.value,
        num_blocks=_NUM_BLOCKS.value, fill=_FILL.value, batch_size=_BATCH_SIZE.value,
        num_items=_NUM_ITEMS.value, expert_units=_EXPERT_UNITS.value)
