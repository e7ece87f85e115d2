import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dtrn_tf.data.preparation.expected_auc import ExpectedAuc


def test_hand_numbers():
    auc = ExpectedAuc()
    auc.add(np.array([0.25, 0.75]))
    # Pairs (positive, negative): .75*.75 right way, .25*.25 wrong way, .25*.75 twice as ties.
    assert auc.result() == pytest.approx(0.5625 + 0.5 * (0.1875 + 0.1875))


def test_equals_the_auc_of_sampled_labels():
    rng = np.random.default_rng(3)
    probabilities = rng.beta(2, 5, size=200_003)
    auc = ExpectedAuc()
    for part in np.array_split(probabilities, 7):
        auc.add(part)
    labels = rng.random(len(probabilities)) < probabilities
    assert auc.result() == pytest.approx(roc_auc_score(labels, probabilities), abs=0.005)


def test_equal_probabilities_and_no_rows():
    auc = ExpectedAuc()
    assert np.isnan(auc.result())
    auc.add(np.full(11, 0.3))
    assert auc.result() == pytest.approx(0.5)
    auc.add(np.array([1.0]))
    assert 0.5 < auc.result() < 1.0
