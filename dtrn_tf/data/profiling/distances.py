"""Distances between two distributions, with the conventions of TensorFlow Data Validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtrn_tf.data.profiling.number_sketch import NumberSketch
from dtrn_tf.data.profiling.value_counts import ValueCounts

# Fine bins are put together to about this many of equal mass: of few records, many bins are noise.
NUM_BUCKETS = 10
# In units of the mean: more than sums of squares in float64 leave of a constant.
_LEAST_STD = 1e-6


def l_infinity(a: ValueCounts, b: ValueCounts) -> tuple[float, Any]:
    """The largest difference of the shares of one value, and the value.

    >>> a, b = ValueCounts(), ValueCounts()
    >>> a.add(np.array([1, 1, 1, 2])); b.add(np.array([1, 2, 2, 3]))
    >>> l_infinity(a, b)
    (0.5, 1)
    """
    best, found = 0.0, None
    for value in {**a.counts, **b.counts}:
        distance = abs(_share(a, value) - _share(b, value))
        if distance > best:
            best, found = distance, value
    return best, found


def unseen_share(a: ValueCounts, b: ValueCounts) -> float | None:
    """The share of b's occurrences whose value does not occur in a; None if a is capped.

    >>> a, b = ValueCounts(), ValueCounts()
    >>> a.add(np.array([1, 1, 1, 2])); b.add(np.array([1, 2, 2, 3]))
    >>> unseen_share(a, b)
    0.25
    """
    if a.is_capped or not b.total:
        return None
    return 1.0 - sum(count for value, count in b.counts.items() if value in a.counts) / b.total


def number_distance(a: NumberSketch, b: NumberSketch) -> float:
    """Jensen-Shannon divergence of numbers in about ten buckets; NaN and infinities are two more.

    >>> a, b = NumberSketch(), NumberSketch()
    >>> a.add(np.array([1.0, 1.0])); b.add(np.array([1.0, np.nan]))
    >>> round(number_distance(a, b), 4)
    0.3113
    """
    extra = [[s.num_nan, s.num_inf] for s in (a, b)]
    p, q = (np.array([*counts, *more], np.float64)
            for counts, more in zip(bucket_counts(a.bins, b.bins), extra))
    return jensen_shannon(p, q)


def normal_distance(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Squared Hellinger distance of normal distributions, 0 (equal) to 1 (nothing in common).

    H^2 = 1 - sqrt(2 s t / (s^2 + t^2)) exp(-(m - n)^2 / (4 (s^2 + t^2))): .118 where the mean moves
    by one standard deviation, .106 where that doubles, 1 where only one of the two varies.

    Args:
        a: Means m and standard deviations s, arrays of equal length.
        b: Means n and standard deviations t of the others.

    >>> normal_distance((np.array([0., 3.]), np.array([1., 1.])),
    ...                 (np.array([1., 0.]), np.array([1., 0.]))).round(3).tolist()
    [0.118, 1.0]
    """
    (m, n), (s, t) = ((a[i], b[i]) for i in (0, 1))
    # What never varies has a little width, so that equal constants are equal.
    s, t = (np.maximum(std, _LEAST_STD * np.abs(mean) + 1e-30) for mean, std in (a, b))
    both = s**2 + t**2
    return 1.0 - np.sqrt(2 * s * t / both) * np.exp(-(m - n) ** 2 / (4 * both))


def length_distance(a: Mapping[int, int], b: Mapping[int, int]) -> float:
    """Jensen-Shannon divergence of the numbers of values, in about ten buckets.

    >>> length_distance({0: 5}, {3: 2})
    1.0
    """
    return jensen_shannon(*bucket_counts(a, b))


def jensen_shannon(p: Sequence[float] | np.ndarray, q: Sequence[float] | np.ndarray) -> float:
    """Jensen-Shannon divergence in bits, from 0 (equal) to 1 (nothing in common).

    JSD(p, q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, of counts that are normalised
    here; 0 if one of the two has no counts.

    >>> jensen_shannon([2, 2], [4, 0]) == jensen_shannon([1, 0], [1, 1])
    True
    """
    a, b = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if not a.sum() or not b.sum():
        return 0.0
    a, b = a / a.sum(), b / b.sum()
    middle = (a + b) / 2
    return float((_relative_entropy(a, middle) + _relative_entropy(b, middle)) / 2)


def bucket_counts(a: Mapping[int, int], b: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Counts by number of two histograms, neighbours put together where there are many.

    Ten numbers or fewer keep a bucket each. More are cut into buckets at the deciles of the mean
    of both distributions, so the buckets do not depend on which of the two comes first.

    >>> [counts.tolist() for counts in bucket_counts({1: 3, 5: 1}, {5: 2})]
    [[3, 1], [0, 2]]
    """
    numbers = sorted({**a, **b})
    counts: list[np.ndarray] = [
        np.array([side.get(number, 0) for number in numbers], np.float64) for side in (a, b)]
    if len(numbers) > NUM_BUCKETS:
        share = sum(side / max(side.sum(), 1.0) for side in counts) / 2
        before = np.cumsum(share) - share
        # Rounding should not move what lies on a decile.
        bucket = np.minimum((before * NUM_BUCKETS + 1e-9).astype(int), NUM_BUCKETS - 1)
        counts = [np.bincount(bucket, side, NUM_BUCKETS) for side in counts]
    return counts[0].astype(np.int64), counts[1].astype(np.int64)


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    seen = p > 0
    return float(np.sum(p[seen] * np.log2(p[seen] / q[seen])))


def _share(counts: ValueCounts, value: Any) -> float:
    return counts.counts.get(value, 0) / counts.total if counts.total else 0.0
