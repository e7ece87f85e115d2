"""Monotone buckets for numbers that become ids: counts, ages, rates."""

from __future__ import annotations

import numpy as np


def log_bucket(values: np.ndarray, resolution: float, size: int) -> np.ndarray:
    """floor(resolution * log2(1 + x)), at most size - 1; -1 (out of vocabulary) for NaN or x < 0.

    >>> log_bucket(np.array([0, 1, 2, 3, 1000, -1]), resolution=1, size=6).tolist()
    [0, 1, 1, 2, 5, -1]
    """
    values = np.asarray(values, np.float64)
    known = values >= 0
    buckets = np.floor(resolution * np.log2(1.0 + np.where(known, values, 0.0)))
    return np.where(known, np.minimum(buckets, size - 1), -1).astype(np.int64)


def rate_bucket(
    counts: np.ndarray, exposures: np.ndarray, prior: float, strength: float, size: int
) -> np.ndarray:
    """Buckets a smoothed rate so that rare and frequent behaviours both spread over the buckets.

    rate = (counts + prior * strength) / (exposures + strength), then
    floor(size * rate / (rate + prior)): the prior falls in the middle.

    >>> rate_bucket(np.array([0, 0, 3, 30]), np.array([0, 30, 30, 30]), 0.1, 5, 20).tolist()
    [10, 2, 10, 17]
    """
    rate = (counts + prior * strength) / (exposures + strength)
    return np.minimum(size * (rate / (rate + prior)), size - 1).astype(np.int64)
