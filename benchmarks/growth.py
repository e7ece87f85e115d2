"""How a training step grows: sizes around the reference point, each measured with several K."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.cases import REFERENCE, Case, padded_transformer
from benchmarks.reference_point import ReferencePoint
from benchmarks.timing import interleaved, ratios

# Letter of an axis and its field of the reference point.
AXES = {"T": "num_behaviors", "L": "max_length", "D": "width"}


def points(
    reference: ReferencePoint, values: Mapping[str, Sequence[int]]
) -> Iterator[ReferencePoint]:
    """The reference point and those that differ from it in one size.

    >>> [p.max_length for p in points(ReferencePoint(), {"T": [3], "L": [20, 50], "D": []})]
    [50, 20]
    """
    yield reference
    for axis, numbers in values.items():
        for number in numbers:
            if number != getattr(reference, AXES[axis]):
                change: dict[str, Any] = {AXES[axis]: number}
                yield replace(reference, **change)


def measure(point: ReferencePoint, tasks: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Times one point with several numbers of tasks, next to the padded Transformer.

    Args:
        point: Sizes; its number of tasks is that of the padded Transformer's model.
        tasks: Every K to time.
        rounds: How often.

    Returns:
        One row per K: the sizes, milliseconds of a step, and median and quartiles of the ratio.
    """
    cases = {REFERENCE: Case(point=point, interest=padded_transformer, padded=True)}
    cases |= {str(k): Case(point=replace(point, num_tasks=k)) for k in tasks}
    times = interleaved({name: case.training(1) for name, case in cases.items()}, rounds)
    relative = ratios(times, REFERENCE)
    sizes = {axis: getattr(point, name) for axis, name in AXES.items()}
    return [{"K": k, **sizes, "ms": round(1000 * float(np.median(times[str(k)])), 1),
             **dict(zip(("low", "ratio", "high"),
                        np.quantile(relative[str(k)], (0.25, 0.5, 0.75)).round(3)))}
            for k in tasks]
