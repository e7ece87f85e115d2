"""Whether numbers rise or fall along the lists that hold them."""

from __future__ import annotations

import numpy as np

# Of fewer steps, one direction says nothing; a few against it are clocks that went wrong.
_MIN_STEPS = 20
_SHARE = 0.99


class ListSteps:
    """Counts neighbours within lists of which the second is larger, or smaller.

    >>> steps = ListSteps()
    >>> steps.add(np.array([3, 2, 9, 9, 1]), np.array([2, 0, 3]))
    >>> steps.rising, steps.falling
    (0, 2)
    """

    def __init__(self) -> None:
        self.rising = self.falling = 0

    def add(self, values: np.ndarray, lengths: np.ndarray) -> None:
        """Adds the lists of some records, one after the other."""
        within = np.ones(len(values) + 1, bool)
        within[np.cumsum(lengths)] = False  # No step leads from one list to the next.
        within = within[1:-1]
        self.rising += int((within & (values[1:] > values[:-1])).sum())
        self.falling += int((within & (values[1:] < values[:-1])).sum())

    def merge(self, other: ListSteps) -> None:
        """Adds what was counted of other records."""
        self.rising += other.rising
        self.falling += other.falling

    @property
    def trend(self) -> int:
        """1 if lists rise, -1 if they fall, 0 if neither can be said."""
        total = self.rising + self.falling
        if total < _MIN_STEPS or max(self.rising, self.falling) < _SHARE * total:
            return 0
        return 1 if self.rising > self.falling else -1
