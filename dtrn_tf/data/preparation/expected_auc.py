"""The AUC that a score equal to the true probability reaches on average: the Bayes optimum."""

from __future__ import annotations

import numpy as np

_UNITS = 2.0**30


class ExpectedAuc:
    """Adds up P(score of a positive > score of a negative), ties half, in constant memory.

    Each row of true probability p is p of a positive and 1 - p of a negative, both with score p.
    Probabilities are added as multiples of 2**-30, so exactly: in any order with the same result.

    Args:
        num_bins: Bins of equal width in p; rows of one bin count as ties.

    >>> auc = ExpectedAuc()
    >>> auc.add(np.array([0.2, 0.8]))
    >>> round(auc.result(), 4)
    0.8
    """

    def __init__(self, num_bins: int = 1 << 16) -> None:
        self._positives = np.zeros(num_bins, np.int64)
        self._negatives = np.zeros(num_bins, np.int64)

    def add(self, probabilities: np.ndarray) -> None:
        bins = len(self._positives)
        index = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
        units = np.round(probabilities * _UNITS)
        for total, weights in ((self._positives, units), (self._negatives, _UNITS - units)):
            total += np.bincount(index, weights=weights, minlength=bins).astype(np.int64)

    def merge(self, other: ExpectedAuc) -> None:
        self._positives += other._positives
        self._negatives += other._negatives

    def result(self) -> float:
        """The AUC; NaN before any row."""
        positives, negatives = self._positives / _UNITS, self._negatives / _UNITS
        below = np.cumsum(negatives) - negatives
        wins = float(np.sum(positives * (below + 0.5 * negatives)))
        pairs = float(positives.sum() * negatives.sum())
        return wins / pairs if pairs > 0 else float("nan")
