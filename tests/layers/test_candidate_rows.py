import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal

from dtrn_tf.layers.candidate_rows import CandidateRows


@pytest.mark.parametrize("index, num_requests", [
    ([0, 0, 1, 3, 3, 3], 5), ([0] * 6, 1), (list(range(6)), 6)])
def test_group_and_ungroup_with_gradients(index, num_requests):
    """Requests without candidates too; padding is zero and gets no gradient."""
    rows, values = CandidateRows(tf.constant(index), num_requests), normal(6, 2)

    def grouped():
        padded = rows.group(values)
        assert padded.shape == (num_requests, max(map(index.count, index)), 2)
        return rows.ungroup(tf.sin(padded) + 1.0)

    assert_equal_with_gradients(grouped, lambda: tf.sin(values) + 1.0, [values])
    sums = np.zeros((num_requests, 2))
    np.add.at(sums, index, values)
    np.testing.assert_allclose(tf.reduce_sum(rows.group(values), 1), sums)


def test_without_an_index_every_candidate_has_its_own_request():
    rows, values = CandidateRows(None, 6), normal(6, 2)
    assert rows.group(values).shape == (6, 1, 2)
    np.testing.assert_array_equal(rows.ungroup(rows.group(values)), values)
