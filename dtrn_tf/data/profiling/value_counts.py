"""How often each value occurs, in bounded memory."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# About 20 MB for a feature that has more values than this.
MAX_VALUES = 100_000


class Uniques(NamedTuple):
    """The different values of an array, and how often each occurs."""

    values: list[Any]
    counts: list[int]


class ValueCounts:
    """Counts of the most frequent values, exact until there are more than `max_values`.

    When twice as many are held, the rarer half is forgotten. A forgotten value that comes again
    starts from 0, so a count may be too low by at most `error`.

    Args:
        max_values: How many values are kept at least.

    >>> counts = ValueCounts(max_values=2)
    >>> counts.add(np.array([7, 7, 7, 9, 9, 4]))
    >>> counts.top(1), counts.total, counts.distinct, counts.is_capped
    ([(7, 3)], 6, 3, False)
    >>> counts.add(np.array([5, 6]))
    >>> counts.counts, counts.distinct, counts.is_capped, counts.error
    ({7: 3, 9: 2}, 5, True, 1)
    """

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self.max_values = max_values
        self.counts: dict[Any, int] = {}
        self.total = 0
        self.error = 0
        self._most_held = 0

    def add(self, values: np.ndarray) -> None:
        """Counts the values of an array."""
        uniques = unique_counts(values)
        self._add(zip(uniques.values, uniques.counts))

    def merge(self, other: ValueCounts) -> None:
        """Adds what another object of the same `max_values` has counted."""
        self.error += other.error
        self.total += other.total - sum(other.counts.values())
        self._most_held = max(self._most_held, other._most_held)
        self._add(other.counts.items())

    def without(self, value: Any) -> ValueCounts:
        """The same counts as if a value had not occurred."""
        result = ValueCounts(self.max_values)
        result.merge(self)
        result.total -= result.counts.pop(value, 0)
        return result

    @property
    def is_capped(self) -> bool:
        """Whether there were too many values, so that `distinct` is what there were at least."""
        return self.error > 0

    @property
    def distinct(self) -> int:
        return max(self._most_held, len(self.counts))

    def top(self, number: int) -> list[tuple[Any, int]]:
        """The most frequent values with their counts; equal counts in the order of the values."""
        return heapq.nsmallest(number, self.counts.items(), key=lambda item: (-item[1], item[0]))

    def _add(self, items: Any) -> None:
        counts = self.counts
        for value, count in items:
            counts[value] = counts.get(value, 0) + count
            self.total += count
        if len(counts) > 2 * self.max_values:
            self._most_held = max(self._most_held, len(counts))
            kept = dict(self.top(self.max_values))
            self.error += max(count for value, count in counts.items() if value not in kept)
            self.counts = kept


def unique_counts(values: np.ndarray) -> Uniques:
    """The different values of a one-dimensional array in the order of their first occurrence."""
    codes, uniques = pd.factorize(values)
    return Uniques(uniques.tolist(), np.bincount(codes, minlength=len(uniques)).tolist())
