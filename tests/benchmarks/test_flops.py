import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.flops import gemm, gemm_rate, training_flops
from benchmarks.reference_point import ReferencePoint, make_schema

# F = 5 features of the request + 1 behaviour + 5 features of the candidate; H of TRM = 32;
# E = 4 experts of U = 32; V = 32.
POINT = ReferencePoint(num_tasks=2, num_behaviors=1, width=10, num_heads=2, batch_size=3)
HEAD = 2 * 2 * ((110 * 32 + 32 * 11) + 4 * (110 * 32 + 110 + 32) + (32 * 32 + 32))


def batch(*lengths, candidates=1):
    name = make_schema(POINT).behaviors[0].features[0].name
    ids = tf.RaggedTensor.from_row_lengths(tf.range(sum(lengths)), lengths)
    return {name: ids}, {"task_0": tf.zeros(candidates * len(lengths))}, {}


def test_head_alone():
    assert training_flops(POINT, 2, batch(0, 0, 0)) == 3 * 3 * HEAD


def test_fields_of_requests_are_multiplied_once():
    """Products of 6 fields per request and 5 per row, then sums over 6 products per row."""
    once, per_row = 60 * (32 + 4 * 33), 50 * (32 + 4 * 33) + 6 * 4 * 33 + 32 * 11 + 4 * 32 + 33 * 32
    found = training_flops(POINT, 2, batch(0, 0, 0, candidates=7))
    assert found == 3 * 2 * 2 * (3 * once + 21 * per_row)


def test_one_block():
    # N = 5 events, S = 4 + 9 pairs, D = 10, W = 20; the feed-forward part once per interest.
    tokens, attention = 2 * 5 * 20 * 10, 2 * 5 * 4 * 100 + 4 * 13 * 10
    for num_interests in (1, 2):
        encoder = tokens + attention + num_interests * 4 * 5 * 10 * 20
        found = training_flops(POINT, num_interests, batch(2, 0, 3))
        assert found == 3 * (encoder + 3 * HEAD)


def test_second_block_attends_once_per_interest():
    one, two = (training_flops(dataclasses.replace(POINT, num_blocks=n), 2, batch(2, 0, 3))
                for n in (1, 2))
    assert two - one == 3 * 2 * (2 * 5 * 4 * 100 + 4 * 13 * 10 + 4 * 5 * 10 * 20)


def test_gemm():
    assert np.isfinite(gemm((3, 4, 5))())
    assert gemm_rate((3, 4, 5), [0.5, 0.25, 1.0]) == pytest.approx(240.0)
