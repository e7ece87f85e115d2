"""Checks of constructor arguments, with one form of error text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def check_whole(value: Any, minimum: int, name: str) -> int:
    """Returns a whole number of at least `minimum`, or raises ValueError.

    >>> check_whole(3, 1, "num_tasks")
    3
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"`{name}` should be a whole number >= {minimum}. Received: {value!r}.")
    return value


def check_units(units: Any, name: str, *, allow_empty: bool = False) -> tuple[int, ...]:
    """Returns the layer widths as a tuple, or raises ValueError.

    >>> check_units([64, 32], "units")
    (64, 32)
    """
    if not isinstance(units, Sequence) or isinstance(units, str) or not (units or allow_empty):
        kind = "list" if allow_empty else "non-empty list"
        raise ValueError(f"`{name}` should be a {kind} of layer widths. Received: {units!r}.")
    return tuple(check_whole(width, 1, f"{name}[{i}]") for i, width in enumerate(units))


def check_rate(value: Any, name: str) -> float:
    """Returns a dropout rate, a number in [0, 1), or raises ValueError.

    >>> check_rate(0.1, "dropout")
    0.1
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"`{name}` should be a number in [0, 1). Received: {value!r}.")
    return value


def check_one_of(value: Any, allowed: Iterable[str], name: str) -> Any:
    """Returns one of the `allowed` values, or raises ValueError.

    >>> check_one_of("mean", ("mean", "target"), "pooling")
    'mean'
    """
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"`{name}` should be one of {allowed}. Received: {value!r}.")
    return value
