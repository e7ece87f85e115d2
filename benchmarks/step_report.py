"""What the times of training steps say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.cases import CANDIDATES, REFERENCE, Case
from benchmarks.timing import ratios


def limit_columns(cases: Mapping[str, Case], steps: Mapping[str, list[float]], num_batches: int,
                  rate: float) -> dict[str, dict[str, str]]:
    """Rows a second, and how near a step comes to the time of its matrix products alone.

    Args:
        cases: What was timed.
        steps: Seconds of a step in each round, by case.
        num_batches: Number of batches that were trained on in turn.
        rate: Operations a second of a large product.
    """
    columns: dict[str, dict[str, str]] = {"rows/s": {}, "limit ms": {}, "reached": {}}
    for name, case in cases.items():
        limit = case.flops(num_batches) / rate
        median = float(np.median(steps[name]))
        columns["rows/s"][name] = f"{case.point.batch_size / median:,.0f}"
        columns["limit ms"][name] = f"{1000 * limit:.1f}"
        columns["reached"][name] = f"{limit / median:.0%}"
    return columns


def findings(steps: Mapping[str, list[float]]) -> list[str]:
    """The comparisons that take more than the reference, as medians over rounds.

    Args:
        steps: Seconds of a step in each round, by case; a finding needs its cases.

    >>> for line in findings({"padded": [2.0, 2.0], "loop": [9.0, 9.0], "dtrn": [1.5, 1.5],
    ...                       "dtrn_8_tasks": [2.5, 2.3], "dtrn_requests": [0.3, 0.3]}):
    ...     print(line)
    The plain loop takes 6.00 times as long as DTRN.
    One more task costs 0.112 of the padded Transformer's step.
    With 10 candidates a request, 5.00 times as many rows are trained on a second.
    """
    relative = ratios(steps, REFERENCE)
    lines = []
    if {"loop", "dtrn"} <= set(steps):
        times = np.median(relative["loop"] / relative["dtrn"])
        lines.append(f"The plain loop takes {times:.2f} times as long as DTRN.")
    if {"dtrn", "dtrn_8_tasks"} <= set(steps):
        slope = np.median(relative["dtrn_8_tasks"] - relative["dtrn"]) / 4
        lines.append(f"One more task costs {slope:.3f} of the padded Transformer's step.")
    if {"dtrn", "dtrn_requests"} <= set(steps):
        times = np.median(relative["dtrn"] / relative["dtrn_requests"])
        lines.append(f"With {CANDIDATES} candidates a request, {times:.2f} times as many rows are "
                     "trained on a second.")
    return lines
