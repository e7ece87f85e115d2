"""Time the updates of embedding tables of 10 thousand to 5 million rows.

    python -m benchmarks.embedding_update --core=0

First one table alone, an optimiser at a time: lookup, gradient and update of --ids_per_step ids,
new ones in every step. `no update` is the lookup and its gradient alone; what it grows by is the
memory of the machine (caches and address translation), which no optimiser can save. Then the whole
training step of the reference point of benchmarks.train_step, with item tables of these sizes.
Ratios are to the smallest table, within a round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from absl import flags

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from benchmarks import machine
from benchmarks.cases import Case
from benchmarks.reference_point import ReferencePoint
from benchmarks.table_updates import OPTIMIZERS, PEERS, state_bytes, update_steps
from benchmarks.timing import interleaved, pin, ratio_table
from dtrn_tf.errors import UserError

_ROWS = flags.DEFINE_multi_integer(
    "rows", [10_000, 100_000, 1_000_000, 5_000_000], "Rows of the table.", lower_bound=2)
_WIDTH = flags.DEFINE_integer("width", 16, "D, width of the table.", lower_bound=1)
_IDS_PER_STEP = flags.DEFINE_integer(
    "ids_per_step", 1024, "Ids that a step looks up.", lower_bound=1)
_IDS = flags.DEFINE_enum(
    "ids", "popular", ["popular", "uniform"],
    "`popular`: by Zipf's law, as in real logs; `uniform`: all alike, the worst for caches.")
_OPTIMIZERS = flags.DEFINE_list("optimizers", list(OPTIMIZERS), "Which to time.")
_STEPS = flags.DEFINE_integer(
    "steps", 100, "Steps of one timed call; the dense peers do one.", lower_bound=1)
_TRAINING_STEP = flags.DEFINE_bool("training_step", True, "Time the whole training step too.")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "How often every case is timed.", lower_bound=1)
_CORE = flags.DEFINE_integer(
    "core", 0, "The core to run on, with one thread; negative: all cores, or the GPU.")
# In turn, so that a step does not find the rows of the last one in the cache.
_BATCHES = 4


def main() -> None:
    pin(None if _CORE.value < 0 else _CORE.value)
    unknown = sorted(set(_OPTIMIZERS.value) - set(OPTIMIZERS))
    if unknown:
        raise UserError(f"--optimizers should be of {list(OPTIMIZERS)}. Received: {unknown}.")
    print(machine.describe())
    for optimizer in _OPTIMIZERS.value:
        steps = 1 if optimizer in PEERS else _STEPS.value
        print(f"\n{optimizer}: {state_bytes(optimizer, _WIDTH.value)} bytes of state a row; "
              f"ms of {steps} step(s)")
        print(_growth({rows: update_steps(optimizer, rows, _WIDTH.value, _IDS_PER_STEP.value,
                                          _IDS.value, steps) for rows in _ROWS.value}))
    if _TRAINING_STEP.value:
        print(f"\nlazy_adam in the whole training step; ms of {_BATCHES} steps")
        print(_growth({rows: Case(point=replace(ReferencePoint(), num_items=rows))
                       .training(_BATCHES) for rows in _ROWS.value}))


def _growth(calls: Mapping[int, Callable[[], object]]) -> str:
    times = interleaved({f"{rows:,} rows": call for rows, call in calls.items()}, _ROUNDS.value)
    return ratio_table(times, next(iter(times)))


if __name__ == "__main__":
    program.run(main)
