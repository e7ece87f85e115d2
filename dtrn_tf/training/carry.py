"""Values of weights that go from one model to another, by what their places stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtrn_tf.models.axis import Axis

Axes = Sequence[Axis | None]


def carry(values: Any, source: Any, axes: Axes, source_axes: Axes) -> np.ndarray:
    """The values, with those of the source in all places that stand for the same.

    Args:
        values: What places start with that the source does not have.
        source: Values to carry over.
        axes: What the places of `values` stand for; None: their numbers.
        source_axes: The same of `source`.

    Raises:
        ValueError: Axes without names differ in length, or a name has another number of places.

    >>> old = Axis("task", ("click", "buy"))
    >>> carry([0, 0, 0], [5, 7], [Axis("task", ("like", "buy", "click"))], [old]).tolist()
    [0, 7, 5]
    """
    values, source = np.array(values), np.asarray(source)
    if values.ndim != source.ndim:
        raise ValueError(f"{values.ndim} axes and {source.ndim}")
    places = [_places(axis, other, lengths) for axis, other, lengths in zip(
        axes, source_axes, zip(values.shape, source.shape))]
    values[np.ix_(*(here for here, _ in places))] = source[np.ix_(*(there for _, there in places))]
    return values


def _places(axis: Axis | None, other: Axis | None,
            lengths: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    if axis is not None and other is not None:
        return axis.places_from(other)
    if lengths[0] != lengths[1]:
        raise ValueError(f"{lengths[0]} places and {lengths[1]}")
    return np.arange(lengths[0]), np.arange(lengths[0])
