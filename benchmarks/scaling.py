"""Measure how the training step grows with tasks, behaviours, length and width, and draw it.

    python -m benchmarks.scaling --core=0 --output=benchmarks/scaling

writes OUTPUT.csv and OUTPUT.png: around the reference point, one size changes at a time, each with
K = 1, 2, 4 and 8 tasks. A ratio is a step of DTRN over a step of the same model with one
task-agnostic padded Keras Transformer for 4 tasks at the same T, L and D, in the same round.
"""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
from absl import flags

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from benchmarks import machine, step_flags
from benchmarks.growth import AXES, measure, points
from benchmarks.scaling_plot import check_matplotlib, draw
from dtrn_tf.files import write_text
from dtrn_tf.text_table import text_table

_OUTPUT = flags.DEFINE_string("output", None, "Where to write, without .csv and .png.",
                              required=True)
_TASKS = flags.DEFINE_multi_integer("tasks", [1, 2, 4, 8], "K, numbers of tasks.", lower_bound=1)
_SIZES = {
    "T": flags.DEFINE_multi_integer(
        "behaviors", [1, 3, 5], "T, numbers of behaviour types.", lower_bound=1),
    "L": flags.DEFINE_multi_integer(
        "lengths", [20, 50, 100], "L, lengths of the sequences.", lower_bound=1),
    "D": flags.DEFINE_multi_integer("widths", [32, 64], "D, embedding widths.", lower_bound=2),
}


def main() -> None:
    check_matplotlib()
    step_flags.pin()
    reference = step_flags.reference_point()
    rows: list[dict[str, Any]] = []
    for point in points(reference, {axis: flag.value for axis, flag in _SIZES.items()}):
        print(", ".join(f"{axis}={getattr(point, name)}" for axis, name in AXES.items()),
              flush=True)
        rows += measure(point, _TASKS.value, step_flags.ROUNDS.value)
    table = pd.DataFrame(rows)
    print(machine.describe())
    print(text_table([table.columns.tolist(), *table.astype(str).values.tolist()]))
    os.makedirs(os.path.dirname(os.path.abspath(_OUTPUT.value)), exist_ok=True)
    write_text(f"{_OUTPUT.value}.csv", table.to_csv(index=False))
    draw(table, reference, f"{_OUTPUT.value}.png")
    print(f"written: {_OUTPUT.value}.csv, {_OUTPUT.value}.png")


if __name__ == "__main__":
    program.run(main)
