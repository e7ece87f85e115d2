"""The picture of how the training step grows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmarks.reference_point import ReferencePoint
from dtrn_tf.errors import UserError

_COLORS = ("#c6dbef", "#6baed6", "#2171b5", "#08306b")
_TITLES = {"K": "tasks K", "T": "behaviour types T", "L": "sequence length L", "D": "width D"}


def check_matplotlib() -> None:
    """Raises a UserError if matplotlib is missing, before anything is measured."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError("matplotlib should be installed to draw. Received: no such package. "
                        "Remedy: pip install -e .[benchmarks]") from error


def draw(table: pd.DataFrame, reference: ReferencePoint, path: str) -> None:
    """Draws the ratio against K, T, L and D, one line per number of tasks.

    Args:
        table: Columns K, T, L, D, ratio, low, high, as `scaling.measure` makes them.
        reference: The point that the sizes vary around.
        path: Image file to write.
    """
    check_matplotlib()
    # The object-oriented interface: no window system, no global figures.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    sizes = {"T": reference.num_behaviors, "L": reference.max_length, "D": reference.width}
    tasks = sorted(table["K"].unique())
    for axes, axis in zip(figure.subplots(1, 4, sharey=True), _TITLES):
        rows = _around(table, sizes, axis)
        lines = [("black", None, rows)] if axis == "K" else [
            (_COLORS[i % len(_COLORS)], f"K = {k}", rows[rows["K"] == k])
            for i, k in enumerate(tasks)]
        for color, label, line in lines:
            _line(axes, line.sort_values(axis), axis, color, label)
        axes.set_xlabel(_TITLES[axis])
        axes.set_xticks(sorted(rows[axis].unique()))
        axes.axhline(1.0, color="grey", linestyle=":", linewidth=1)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylim(bottom=0)  # Shared, and after the last line is drawn.
    figure.axes[0].set_ylabel("training step, padded Transformer = 1")
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), frameon=False,
                  loc="outside right center")
    figure.savefig(path, dpi=150)


def _around(table: pd.DataFrame, sizes: dict[str, int], axis: str) -> pd.DataFrame:
    """The rows in which every size but `axis`, and K, is that of the reference."""
    fixed = [table[name] == size for name, size in sizes.items() if name != axis]
    return table[pd.concat(fixed, axis=1).all(axis=1)]


def _line(axes: Any, rows: pd.DataFrame, axis: str, color: str, label: str | None) -> None:
    spread = [rows["ratio"] - rows["low"], rows["high"] - rows["ratio"]]
    axes.errorbar(rows[axis], rows["ratio"], yerr=spread, marker="o", color=color, label=label,
                  capsize=2)
