import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal

from dtrn_tf.layers.experts import mix


def test_hand_computed():
    gates = tf.constant([[[0.25, 0.75], [1.0, 0.0]]])
    shared = tf.constant([[[[4.0], [8.0]]]])
    per_task = tf.constant([[[[4.0], [8.0]], [[3.0], [5.0]]]])
    np.testing.assert_array_equal(mix(gates, shared), [[[7.0], [4.0]]])
    np.testing.assert_array_equal(mix(gates, per_task), [[[7.0], [3.0]]])


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    gates, experts = normal(2, 3, 5), normal(2, views, 5, 7, seed=1)

    def loop():
        return tf.stack([[tf.add_n([gates[b, k, e] * experts[b, k % views, e] for e in range(5)])
                          for k in range(3)] for b in range(2)])

    assert_equal_with_gradients(lambda: mix(gates, experts), loop, [gates, experts])
