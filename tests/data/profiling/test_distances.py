import math

import numpy as np
import pytest
from scipy.spatial import distance

from dtrn_tf.data.profiling.distances import (
    bucket_counts, jensen_shannon, l_infinity, length_distance, number_distance, unseen_share,
)
from dtrn_tf.data.profiling.number_sketch import NumberSketch
from dtrn_tf.data.profiling.value_counts import ValueCounts


def _counts(*values, **arguments):
    counts = ValueCounts(**arguments)
    counts.add(np.array(values))
    return counts


def _numbers(*values):
    sketch = NumberSketch()
    sketch.add(np.array(values, np.float64))
    return sketch


def test_l_infinity_is_the_largest_change_of_a_share():
    # Shares 3/4, 1/4, 0 and 1/5, 2/5, 2/5.
    value, which = l_infinity(_counts(1, 1, 1, 2), _counts(1, 2, 2, 3, 3))
    assert (value, which) == (pytest.approx(0.55), 1)
    assert l_infinity(_counts(1, 2), _counts(2, 1, 1, 2)) == (0.0, None)


def test_unseen_share():
    assert unseen_share(_counts(1, 2), _counts(1, 3, 3, 4)) == 0.75
    assert unseen_share(_counts(1, 2, 3, max_values=1), _counts(1)) is None
    assert unseen_share(_counts(1), ValueCounts()) is None


def test_jensen_shannon_by_hand():
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4).
    by_hand = 0.5 * math.log2(4 / 3) + 0.5 * (0.5 * math.log2(2 / 3) + 0.5 * math.log2(2))
    assert jensen_shannon([5, 0], [3, 3]) == pytest.approx(by_hand) == pytest.approx(0.3112781)
    assert jensen_shannon([1, 0], [0, 9]) == 1.0
    assert jensen_shannon([0, 0], [1, 2]) == 0.0
    random = np.random.default_rng(5)
    p, q = random.integers(0, 9, [2, 13])
    assert jensen_shannon(p, q) == pytest.approx(distance.jensenshannon(p, q, 2) ** 2)


def test_numbers_and_what_is_not_finite():
    assert number_distance(_numbers(1, 2, 4), _numbers(1, 2, 4, 1, 2, 4)) == 0.0
    assert number_distance(_numbers(1, 1), _numbers(-1, -1)) == 1.0
    # Half of the numbers have become NaN: p = (1, 0), q = (1/2, 1/2).
    assert number_distance(_numbers(3, 3), _numbers(3, np.nan)) == pytest.approx(0.3112781)


def test_lengths():
    assert length_distance({0: 4}, {0: 2, 5: 2}) == pytest.approx(0.3112781)


def test_many_numbers_are_put_into_buckets_of_equal_mass():
    a, b = {n: 10 for n in range(40)}, {n: 10 for n in range(20)}
    counts = bucket_counts(a, b)
    assert [len(side) for side in counts] == [10, 10]
    assert [side.sum() for side in counts] == [400, 200]
    # The mean of both is .0375 for each of the first 20 and .0125 for each of the others, so the
    # first bucket holds 0, 1 and 2, before which lies less than a tenth.
    assert counts[0][:2].tolist() == [30, 30] and counts[1][:2].tolist() == [30, 30]
    assert counts[1][-2:].tolist() == [0, 0] and counts[0][-2:].tolist() == [80, 80]
    assert [side.tolist() for side in bucket_counts(b, a)] == [s.tolist() for s in counts[::-1]]
