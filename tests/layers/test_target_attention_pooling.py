import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, lay_out, normal, pool, randomize

from dtrn_tf.layers.target_attention_pooling import TargetAttentionPooling

LENGTHS = (5, 1, 0, 3)


def test_hand_computed():
    layer = TargetAttentionPooling()
    layer.build((None, 1, 1))
    layer.set_weights([np.array([[1.0]])])
    x = tf.reshape(tf.math.log([1.0, 3.0, 7.0]), [1, 3, 1, 1])
    tokens, sequences, _ = lay_out("padded", x, [2])
    pooled = layer(tokens, sequences=sequences, queries=tf.constant([[[1.0], [2.0]]]),
                   gamma=tf.ones([1, 1]))[0, :, 0, 0]
    first, second = 0.25 * np.log(1) + 0.75 * np.log(3), 0.1 * np.log(1) + 0.9 * np.log(3)
    np.testing.assert_allclose(pooled, [first, second], rtol=1e-5)


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_equals_a_loop_over_scaled_and_shifted_values(kind):
    """Attention over gamma * x + beta, whatever beta; the values themselves stay as they are."""
    layer = TargetAttentionPooling(dtype="float64")
    x, queries, gamma, beta = (normal(*shape, seed=i) for i, shape in
                               enumerate([(4, 5, 2, 7), (4, 3, 7), (2, 7), (2, 7)]))
    layer.build((None, 2, 7))
    randomize(layer)

    def pooled():
        tokens, sequences, _ = lay_out(kind, x, LENGTHS)
        return gamma * layer(tokens, sequences=sequences, queries=queries, gamma=gamma)

    def one(s, m, j, length):
        if not length:
            return tf.zeros(7, tf.float64)
        return pool(gamma[j] * x[s, :length, j] + beta[j], layer, queries[s, m]) - beta[j]

    def loop():
        return tf.stack([[[one(s, m, j, n) for j in range(2)] for m in range(3)]
                         for s, n in enumerate(LENGTHS)])

    assert_equal_with_gradients(pooled, loop, [x, queries, gamma, *layer.trainable_weights])


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_no_events_give_zeros_and_finite_gradients(kind):
    layer = TargetAttentionPooling()
    x, queries = tf.Variable(tf.ones([2, 3, 1, 5])), tf.Variable(tf.ones([2, 2, 5]))
    with tf.GradientTape() as tape:
        tokens, sequences, _ = lay_out(kind, x, [0, 3])
        pooled = layer(tokens, sequences=sequences, queries=queries, gamma=tf.ones([1, 5]))
    np.testing.assert_allclose(pooled[:, :, 0, 0], [[0.0, 0.0], [1.0, 1.0]], rtol=1e-6)
    for gradient in tape.gradient(pooled, [x, queries, *layer.trainable_weights]):
        assert np.isfinite(gradient).all()
    tokens, sequences, _ = lay_out(kind, tf.zeros([2, 0, 1, 5]), [0, 0])
    empty = layer(tokens, sequences=sequences, queries=queries, gamma=tf.ones([1, 5]))
    assert not np.any(empty) and empty.shape == (2, 2, 1, 5)


def test_padding_changes_nothing():
    layer = TargetAttentionPooling()
    x = tf.cast(normal(2, 3, 1, 5), tf.float32)
    mask = tf.sequence_mask([2, 1], 3)[:, :, None, None]
    results = []
    for values in (x, tf.where(mask, x, 1e6)):
        tokens, sequences, _ = lay_out("padded", values, [2, 1])
        results.append(layer(tokens, sequences=sequences, queries=tf.ones([2, 1, 5]),
                             gamma=tf.ones([1, 5])))
    np.testing.assert_array_equal(*results)
