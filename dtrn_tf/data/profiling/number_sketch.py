"""The distribution of numbers, in bounded memory: range, quantiles, what is not finite."""

from __future__ import annotations

from collections import Counter

import numpy as np

# Bins of equal ratio: a quantile is right to 2.2 %, and bins of different files are the same.
_BINS_PER_DOUBLING = 16
# Makes the bin numbers of all float32 and int64 magnitudes positive.
_OFFSET = 150 * _BINS_PER_DOUBLING


class NumberSketch:
    """Count, range, NaN, infinities and a histogram of numbers.

    The histogram has fixed bins: 0 for zero, and 16 for every doubling of |x|, negative ones for
    negative numbers. So those of several files add up to that of all, and two data sets compare
    bin by bin.

    >>> sketch = NumberSketch()
    >>> sketch.add(np.array([1.0, 2.0, 4.0, np.nan, np.inf]))
    >>> sketch.count, sketch.num_nan, sketch.num_inf, sketch.minimum, sketch.maximum
    (3, 1, 1, 1.0, 4.0)
    >>> sketch.quantile(0.5)
    2.0
    """

    def __init__(self) -> None:
        self.count = self.num_nan = self.num_inf = self.num_zero = 0
        self.num_whole = 0
        self.minimum, self.maximum = np.inf, -np.inf
        self.bins: Counter[int] = Counter()

    def add(self, values: np.ndarray) -> None:
        """Adds numbers of an array."""
        finite = values[np.isfinite(values)].astype(np.float64)
        num_nan = int(np.isnan(values).sum())
        self.num_nan += num_nan
        self.num_inf += len(values) - len(finite) - num_nan
        if not len(finite):
            return
        self.count += len(finite)
        self.num_zero += int((finite == 0).sum())
        self.num_whole += int((finite == np.round(finite)).sum())
        self.minimum = min(self.minimum, float(finite.min()))
        self.maximum = max(self.maximum, float(finite.max()))
        numbers, counts = np.unique(bin_numbers(finite), return_counts=True)
        self.bins.update(dict(zip(numbers.tolist(), counts.tolist())))

    def merge(self, other: NumberSketch) -> None:
        """Adds what another sketch has seen."""
        for name in ("count", "num_nan", "num_inf", "num_zero", "num_whole"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.bins.update(other.bins)

    def quantile(self, share: float) -> float:
        """The number below which about this share of the numbers lies; NaN without numbers."""
        if not self.count:
            return np.nan
        numbers = sorted(self.bins)
        ends = np.cumsum([self.bins[number] for number in numbers])
        found = numbers[min(int(np.searchsorted(ends, share * self.count)), len(numbers) - 1)]
        middle = float(np.clip(bin_middle(found), self.minimum, self.maximum))
        return float(round(middle)) if self.num_whole == self.count else middle


def bin_numbers(values: np.ndarray) -> np.ndarray:
    """The bin of every finite number; a larger number never has a smaller bin.

    >>> bin_numbers(np.array([-1.0, 0.0, 1.0, 2.0])).tolist()
    [-2401, 0, 2401, 2417]
    """
    magnitude = np.abs(values)
    with np.errstate(divide="ignore"):
        octaves = np.where(magnitude > 0, np.log2(np.where(magnitude > 0, magnitude, 1.0)), 0.0)
    # Numbers beyond float32 are put into the outermost bins.
    steps = np.clip(np.floor(octaves * _BINS_PER_DOUBLING), -_OFFSET, _OFFSET)
    number = (steps + _OFFSET + 1).astype(np.int64)
    return np.where(magnitude > 0, np.sign(values).astype(np.int64) * number, 0)


def bin_middle(number: int) -> float:
    """The geometric middle of a bin.

    >>> bin_middle(0), round(bin_middle(2401), 3)
    (0.0, 1.022)
    """
    if number == 0:
        return 0.0
    octave = (abs(number) - 1 - _OFFSET + 0.5) / _BINS_PER_DOUBLING
    return float(np.copysign(2.0**octave, number))
