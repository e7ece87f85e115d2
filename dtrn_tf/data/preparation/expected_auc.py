"""The AUC that a score equal to the true probability reaches on average: the Bayes optimum."""

from __future__ import annotations

import numpy as np


class ExpectedAuc:
    """Adds up P(score of a positive > score of a negative), ties half, in constant memory.

    Each row of true probability p is p of a positive and 1 - p of a negative, both with score p.

    Args:
        num_bins: Bins of equal width in p; rows of one bin count as ties.

    >>> auc = ExpectedAuc()
    >>> auc.add(np.array([0.2, 0.8]))
    >>> round(auc.result(), 4)
    0.8
    """

    def __init__(self, num_bins: int = 1 << 16) -> None:
        self._positives = np.zeros(num_bins)
        self._negatives = np.zeros(num_bins)

    def add(self, probabilities: np.ndarray) -> None:
        bins = len(self._positives)
        index = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
        self._positives += np.bincount(index, weights=probabilities, minlength=bins)
        self._negatives += np.bincount(index, weights=1.0 - probabilities, minlength=bins)

    def result(self) -> float:
        """The AUC; NaN before any row."""
        below = np.cumsum(self._negatives) - self._negatives
        wins = float(np.sum(self._positives * (below + 0.5 * self._negatives)))
        pairs = float(self._positives.sum() * self._negatives.sum())
        return wins / pairs if pairs > 0 else float("nan")
