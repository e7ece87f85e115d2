"""What the places along an axis of a weight stand for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

Places = np.ndarray


@dataclass(frozen=True)
class Axis:
    """Names along an axis, each with one place or several in a row.

    Args:
        kind: What the names are: `id`, `task`, `field` ...
        names: In the order of the axis.
        sizes: How many places each name has; one number for all of them, or one each.

    >>> tasks = Axis("task", ("click", "buy"), 2)
    >>> tasks.length, [places.tolist() for places in tasks.places_from(Axis("task", ("buy",), 2))]
    (4, [[2, 3], [0, 1]])
    """

    kind: str
    names: Sequence[Hashable]
    sizes: int | Sequence[int] = 1

    @property
    def length(self) -> int:
        return sum(self._all_sizes())

    def _all_sizes(self) -> Sequence[int]:
        return [self.sizes] * len(self.names) if isinstance(self.sizes, int) else self.sizes

    def _starts(self) -> dict[Hashable, tuple[int, int]]:
        """The first place and the number of places of every name."""
        sizes = self._all_sizes()
        return dict(zip(self.names, zip(accumulate([0, *sizes]), sizes)))

    def places_from(self, source: Axis) -> tuple[Places, Places]:
        """Places here and places there that stand for the same.

        Raises:
            ValueError: A name has another number of places there.
        """
        starts = source._starts()
        sizes = self._all_sizes()
        here: list[int] = []
        there: list[int] = []
        for name, start, size in zip(self.names, accumulate([0, *sizes]), sizes):
            other, other_size = starts.get(name, (0, size))
            if other_size != size:
                raise ValueError(f"{size} places for {self.kind} {name!r} and {other_size}")
            if name in starts:
                here.extend(range(start, start + size))
                there.extend(range(other, other + size))
        return np.array(here, np.int64), np.array(there, np.int64)

    def difference(self, source: Axis) -> str:
        """How many names are new here, and how many are there alone; empty if none are.

        >>> Axis("id", ("a", "b")).difference(Axis("id", ("b", "c", "d")))
        'id: 1 kept, 1 new, 2 dropped'
        """
        here, there = set(self.names), set(source.names)
        new, dropped = len(here - there), len(there - here)
        return (f"{self.kind}: {len(here & there)} kept, {new} new, {dropped} dropped"
                if new or dropped else "")
