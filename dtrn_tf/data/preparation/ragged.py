"""Lists of unequal length, one per row, laid one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Ragged:
    """A column of lists.

    >>> Ragged(values=np.array([7, 8, 9]), lengths=np.array([1, 0, 2])).lists()
    [[7], [], [8, 9]]
    """

    values: np.ndarray
    lengths: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Where in `values` each list begins."""
        return np.cumsum(self.lengths) - self.lengths

    def lists(self) -> list[list[Any]]:
        return list(self)

    def __iter__(self) -> Iterator[list[Any]]:
        # One list at a time: millions of live lists keep the garbage collector busy.
        values = self.values.tolist()
        starts = self.starts
        return (values[s:e] for s, e in zip(starts.tolist(), (starts + self.lengths).tolist()))

    def take(self, rows: np.ndarray) -> Ragged:
        """The lists of some rows.

        >>> Ragged(values=np.array([7, 8, 9]), lengths=np.array([1, 0, 2])).take([2, 0]).lists()
        [[8, 9], [7]]
        """
        lengths = self.lengths[rows]
        return Ragged(values=self.values[flat_ranges(self.starts[rows], lengths)], lengths=lengths)


def flat_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers start..start+length-1 of every range, one range after the other.

    >>> flat_ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    offsets = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
