import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, randomize, transformer_block

from dtrn_tf.layers import ConditionalTransformerBlock

LENGTHS = (5, 1, 3)
MASK = tf.constant(np.arange(5) < np.array(LENGTHS)[:, None])


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    layer = ConditionalTransformerBlock(2, 7, dtype="float64")
    x, gamma, beta = normal(3, 5, views, 6), normal(3, 2, 6, seed=1), normal(3, 2, 6, seed=2)
    layer(x, MASK, gamma, beta)
    randomize(layer)

    def loop():
        return tf.concat([transformer_block(x[b, :n, k % views], layer, gamma[k], beta[k])
                          for b, n in enumerate(LENGTHS) for k in range(3)], 0)

    def valid():
        y = layer(x, MASK, gamma, beta)
        return tf.concat([y[b, :n, k] for b, n in enumerate(LENGTHS) for k in range(3)], 0)

    assert_equal_with_gradients(valid, loop, [x, gamma, beta, *layer.trainable_weights])


def test_one_shared_input_equals_the_same_input_for_every_task():
    layer = ConditionalTransformerBlock(1, 7, dtype="float64")
    x, gamma, beta = normal(3, 5, 1, 6), normal(3, 2, 6, seed=1), normal(3, 2, 6, seed=2)
    layer(x, MASK, gamma, beta)
    randomize(layer)
    assert_equal_with_gradients(
        lambda: layer(x, MASK, gamma, beta), lambda: layer(tf.repeat(x, 3, 2), MASK, gamma, beta),
        [x, gamma, beta, *layer.trainable_weights])


def test_dropout_only_in_training():
    layer = ConditionalTransformerBlock(1, 7, dropout=0.5)
    args = (tf.cast(normal(2, 5, 1, 6), tf.float32), MASK[:2], tf.ones([3, 2, 6]),
            tf.zeros([3, 2, 6]))
    np.testing.assert_array_equal(layer(*args), layer(*args, training=False))
    assert not np.allclose(layer(*args), layer(*args, training=True))
