import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, hypernetwork, normal, randomize

from dtrn_tf.layers import Hypernetwork


@pytest.mark.parametrize("initialization", ["free", "identity"])
@pytest.mark.parametrize("hidden_units", [[], [13], [13, 11]])
def test_equals_a_loop(initialization, hidden_units):
    layer = Hypernetwork(2, 5, hidden_units, initialization, dtype="float64")
    tasks, behaviors = normal(3, 7), normal(2, 11, seed=1)
    layer([tasks, behaviors])
    randomize(layer)

    def loop():
        pairs = [[hypernetwork(tasks[k], behaviors[t], layer) for t in range(2)] for k in range(3)]
        return tf.stack([[[pair[part] for pair in row] for row in pairs] for part in (0, 1)])

    assert_equal_with_gradients(lambda: tf.stack(layer([tasks, behaviors])), loop,
                                [tasks, behaviors, *layer.trainable_weights])


def test_identity_starts_as_plain_normalization():
    gamma, beta = Hypernetwork(2, 5, [7], "identity")([tf.ones([3, 4]), tf.ones([2, 4])])
    np.testing.assert_array_equal(gamma, np.ones([3, 2, 2, 5]))
    np.testing.assert_array_equal(beta, np.zeros([3, 2, 2, 5]))


def test_free_starts_different_for_every_task_behavior_and_norm():
    tasks, behaviors = (tf.cast(normal(n, 8, seed=n), tf.float32) for n in (3, 2))
    gamma, beta = Hypernetwork(2, 5, [32])([tasks, behaviors])
    vectors = tf.reshape(tf.stack([gamma, beta]), [-1, 5]).numpy()
    distances = np.abs(vectors[:, None] - vectors).sum(-1) + np.eye(len(vectors))
    assert distances.min() > 1e-3
