import numpy as np

from dtrn_tf.data.preparation.buckets import log_bucket, rate_bucket


def test_log_buckets():
    assert log_bucket(np.array([0, 1, 3, 7, np.nan, -2]), 2.0, 99).tolist() == [0, 2, 4, 6, -1, -1]
    assert log_bucket(np.array([1e9]), 1.0, 7).tolist() == [6]


def test_log_buckets_are_monotone():
    buckets = log_bucket(np.arange(1000), 2.0, 16)
    assert np.all(np.diff(buckets) >= 0) and buckets.max() == 15


def test_a_user_without_a_past_falls_in_the_middle():
    for prior in (0.5, 0.02):
        assert rate_bucket(np.array([0]), np.array([0]), prior, 3.0, 20).tolist() == [10]


def test_rate_buckets_are_monotone_and_within_the_size():
    counts = np.arange(0, 102)
    buckets = rate_bucket(counts, np.full(102, 101), 0.017, 5.0, 19)
    assert np.all(np.diff(buckets) >= 0)
    assert buckets.min() == 0 and buckets.max() == 18
    # More counts than exposures (an estimate) still fall into the last bucket.
    assert rate_bucket(np.array([10**9]), np.array([1]), 1e-6, 1.0, 7).tolist() == [6]
