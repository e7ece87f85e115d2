"""Moments of every element of lists of equal length, before and after each transform."""

from __future__ import annotations

import numpy as np

from dtrn_tf.data.statistics import Moments

TRANSFORMS = ("identity", "log1p")
# What a difference of sums leaves of a std that is 0, in units of the mean, and more than that.
_ROUNDING = 1e-6


class ElementMoments:
    """Sums over records of fixed-length float lists; single numbers are lists of one.

    >>> moments = ElementMoments()
    >>> moments.add(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> moments.moments("identity")
    Moments(mean=(2.0, 5.0), std=(1.0, 1.0))
    """

    def __init__(self) -> None:
        self._sums: np.ndarray | None = None  # [transform, (count, sum, squares), element]

    def add(self, values: np.ndarray) -> None:
        """Adds records [N, elements]; what is not finite is left out."""
        sums = []
        for transform in TRANSFORMS:
            x = transformed(values.astype(np.float64), transform)
            x = np.where(np.isfinite(values), x, 0.0)
            sums.append([np.isfinite(values).sum(0), x.sum(0), np.square(x).sum(0)])
        self._sums = np.array(sums, np.float64) + (0.0 if self._sums is None else self._sums)

    def merge(self, other: ElementMoments) -> None:
        """Adds what another object has seen of lists of the same length."""
        if other._sums is not None:
            self._sums = other._sums + (0.0 if self._sums is None else self._sums)

    def moments(self, transform: str) -> Moments | None:
        """Mean and standard deviation, of several elements one each; std 1 for what never varies,
        None if nothing was added."""
        if self._sums is None:
            return None
        mean, std = self.mean_and_std(transform)
        means = mean.tolist()
        stds = np.where(std > _ROUNDING * np.abs(mean), std, 1.0).tolist()
        return Moments(*((means[0], stds[0]) if len(means) == 1 else (tuple(means), tuple(stds))))

    def mean_and_std(self, transform: str) -> tuple[np.ndarray, np.ndarray]:
        """Both of every element, as they are; of nothing both are empty."""
        if self._sums is None:
            return np.zeros(0), np.zeros(0)
        count, total, squares = self._sums[TRANSFORMS.index(transform)]
        mean = total / np.maximum(count, 1.0)
        return mean, np.sqrt(np.maximum(squares / np.maximum(count, 1.0) - mean**2, 0.0))


def transformed(values: np.ndarray, transform: str) -> np.ndarray:
    """A transform of `NumericFeature` in NumPy."""
    return np.sign(values) * np.log1p(np.abs(values)) if transform == "log1p" else values
