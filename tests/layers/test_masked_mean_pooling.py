import numpy as np
import tensorflow as tf
from reference import assert_equal_with_gradients, normal

from dtrn_tf.layers import MaskedMeanPooling


def test_hand_computed():
    values = tf.constant([[[[1.0], [2.0]], [[3.0], [6.0]], [[50.0], [70.0]]]])
    pooled = MaskedMeanPooling()(values, tf.constant([[True, True, False]]))
    assert pooled.numpy().tolist() == [[[2.0], [4.0]]]


def test_equals_a_loop():
    values = normal(3, 5, 2, 7)
    mask = np.arange(5) < np.array([[5], [1], [3]])

    def loop():
        return tf.stack([tf.reduce_sum(values[b, :n], 0) / n for b, n in enumerate((5, 1, 3))])

    layer = MaskedMeanPooling(dtype="float64")
    assert_equal_with_gradients(lambda: layer(values, tf.constant(mask)), loop, [values])


def test_no_events_give_zeros_and_finite_gradients():
    values = tf.Variable(tf.ones([2, 3, 1, 5]))
    mask = tf.constant([[False] * 3, [True] * 3])
    with tf.GradientTape() as tape:
        pooled = MaskedMeanPooling()(values, mask)
    gradient = tape.gradient(pooled, values).numpy()
    np.testing.assert_allclose(pooled[:, 0, 0], [0.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(gradient[:, 0, 0, 0], [0.0, 1 / 3], rtol=1e-6)
    empty = MaskedMeanPooling()(tf.zeros([2, 0, 1, 5]), tf.zeros([2, 0], tf.bool))
    assert empty.numpy().tolist() == [[[0.0] * 5]] * 2
