"""Counts and distributions in bounded memory: exact where they say so, merging to the whole."""

from collections import Counter

import numpy as np
import pytest

from dtrn_tf.data.profiling.element_moments import ElementMoments
from dtrn_tf.data.profiling.number_sketch import NumberSketch
from dtrn_tf.data.profiling.value_counts import ValueCounts


def test_value_counts_merge_to_those_of_all():
    values = np.random.default_rng(1).integers(0, 40, 500)
    whole, parts = ValueCounts(), [ValueCounts(), ValueCounts()]
    whole.add(values)
    for part, some in zip(parts, np.split(values, [137])):
        part.add(some)
    parts[0].merge(parts[1])
    assert parts[0].counts == whole.counts == Counter(values.tolist())
    assert (whole.total, whole.distinct, whole.is_capped, whole.error) == (500, 40, False, 0)
    assert whole.top(3) == sorted(Counter(values.tolist()).items(), key=lambda i: (-i[1], i[0]))[:3]


def test_capped_counts_keep_the_frequent_values_and_say_how_wrong_they_may_be():
    random = np.random.default_rng(2)
    values = np.concatenate([np.repeat([1, 2, 3], 200), random.integers(10, 4000, 1500)])
    random.shuffle(values)
    counts = ValueCounts(max_values=50)
    for some in np.split(values, 21):
        counts.add(some)
    exact = Counter(values.tolist())
    assert counts.is_capped and counts.total == len(values)
    assert len(counts.counts) <= 100 < counts.distinct <= len(exact)
    assert [value for value, _ in counts.top(3)] == [1, 2, 3]
    for value, count in counts.counts.items():
        assert exact[value] - counts.error <= count <= exact[value]


def test_numbers_range_quantiles_and_what_is_not_finite():
    values = np.random.default_rng(3).lognormal(0.0, 2.0, 9999)
    sketch = NumberSketch()
    sketch.add(np.array([*values, np.nan, np.nan, -np.inf]))
    assert (sketch.count, sketch.num_nan, sketch.num_inf, sketch.num_zero) == (9999, 2, 1, 0)
    assert (sketch.minimum, sketch.maximum) == (values.min(), values.max())
    for share in (0.01, 0.3, 0.5, 0.9, 0.99):
        assert sketch.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.05)


def test_number_sketches_merge_to_that_of_all():
    values = np.array([0.0, -3.5, 7.0, 1e30, -1e-30, 0.25, 12.0])
    whole, first, second = NumberSketch(), NumberSketch(), NumberSketch()
    whole.add(values)
    first.add(values[:3])
    second.add(values[3:])
    first.merge(second)
    assert first.__dict__ == whole.__dict__
    assert (whole.num_zero, whole.num_whole) == (1, 4)
    assert sorted(whole.bins) == [whole_bin for whole_bin in sorted(whole.bins)]


def test_quantiles_of_whole_numbers_are_whole():
    sketch = NumberSketch()
    sketch.add(np.array([5, 5, 6, 100]))
    assert sketch.quantile(0.5) == 5.0 and np.isnan(NumberSketch().quantile(0.5))


def test_extreme_integers_are_counted():
    sketch = NumberSketch()
    sketch.add(np.array([-2**63, 2**63 - 1, 0]))
    assert (sketch.count, sketch.minimum, sketch.maximum) == (3, -2.0**63, 2.0**63)


def test_element_moments_are_numpys():
    values = np.random.default_rng(4).exponential(3.0, [50, 3])
    values[:, 2] = 5.0
    some, rest = ElementMoments(), ElementMoments()
    some.add(values[:20])
    rest.add(values[20:])
    some.merge(rest)
    for transform, x in (("identity", values), ("log1p", np.log1p(values))):
        mean, std = some.moments(transform)
        assert mean == pytest.approx(x.mean(0))
        assert std == pytest.approx([*x.std(0)[:2], 1.0])
    assert ElementMoments().moments("identity") is None
    single = ElementMoments()
    single.add(np.array([[1.0], [np.nan], [3.0]]))
    assert single.moments("identity") == (2.0, 1.0)
