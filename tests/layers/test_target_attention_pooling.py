import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, pool, randomize

from dtrn_tf.layers import TargetAttentionPooling


def test_hand_computed():
    layer = TargetAttentionPooling()
    layer.build((None, None, 1, 1))
    layer.set_weights([np.array([[1.0]])])
    values = tf.reshape(tf.math.log([1.0, 3.0, 7.0]), [1, 3, 1, 1])
    pooled = layer(values, tf.constant([[True, True, False]]), tf.constant([[1.0]]))
    assert float(pooled[0, 0, 0]) == pytest.approx(0.25 * np.log(1) + 0.75 * np.log(3))


def test_equals_a_loop():
    layer = TargetAttentionPooling(dtype="float64")
    values, query, lengths = normal(3, 5, 2, 7), normal(3, 7, seed=1), (5, 1, 3)
    mask = tf.constant(np.arange(5) < np.array(lengths)[:, None])
    layer(values, mask, query)
    randomize(layer)

    def loop():
        return tf.stack([[pool(values[b, :n, j], layer, query[b]) for j in range(2)]
                         for b, n in enumerate(lengths)])

    assert_equal_with_gradients(lambda: layer(values, mask, query), loop,
                                [values, query, *layer.trainable_weights])


def test_no_events_give_zeros_and_finite_gradients():
    layer = TargetAttentionPooling()
    values, query = tf.Variable(tf.ones([2, 3, 1, 5])), tf.Variable(tf.ones([2, 5]))
    with tf.GradientTape() as tape:
        pooled = layer(values, tf.constant([[False] * 3, [True] * 3]), query)
    np.testing.assert_allclose(pooled[:, 0, 0], [0.0, 1.0], rtol=1e-6)
    for gradient in tape.gradient(pooled, [values, query, *layer.trainable_weights]):
        assert np.isfinite(gradient).all()
    empty = layer(tf.zeros([2, 0, 1, 5]), tf.zeros([2, 0], tf.bool), query)
    assert empty.numpy().tolist() == [[[0.0] * 5]] * 2


def test_padding_changes_nothing():
    layer = TargetAttentionPooling()
    values, query = tf.cast(normal(2, 3, 1, 5), tf.float32), tf.ones([2, 5])
    mask = tf.constant([[True, True, False], [True, False, False]])
    expected = layer(values, mask, query)
    other = tf.where(mask[:, :, None, None], values, 1e6)
    np.testing.assert_array_equal(layer(other, mask, query), expected)
