import re

import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, layer_normalization, normal

from dtrn_tf.layers import ConditionalLayerNormalization


def test_hand_computed():
    x = tf.constant([[[[1.0, 3.0]]]])  # normalized: -1, 1
    gamma, beta = tf.constant([[1.0, 1.0], [2.0, 3.0]]), tf.constant([[0.0, 0.0], [10.0, 20.0]])
    outputs = ConditionalLayerNormalization(1e-12)(x, gamma, beta)
    np.testing.assert_allclose(outputs, [[[[-1, 1], [8, 23]]]], rtol=1e-6)


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    x, gamma, beta = normal(2, 5, views, 7), normal(3, 7, seed=1), normal(3, 7, seed=2)

    def loop():
        return tf.stack([[[layer_normalization(x[b, i, k % views], gamma[k], beta[k])
                           for k in range(3)] for i in range(5)] for b in range(2)])

    layer = ConditionalLayerNormalization(dtype="float64")
    assert_equal_with_gradients(lambda: layer(x, gamma, beta), loop, [x, gamma, beta])


def test_equal_values_are_finite():
    x = tf.Variable(tf.ones([1, 1, 1, 5]))
    with tf.GradientTape() as tape:
        outputs = ConditionalLayerNormalization()(x, tf.ones([2, 5]), tf.ones([2, 5]))
    np.testing.assert_array_equal(outputs, np.ones([1, 1, 2, 5]))
    assert np.isfinite(tape.gradient(outputs, x)).all()


def test_moments_are_not_rounded_to_16_bits():
    """257 has no bfloat16; around 256 the variance of 1 would be lost in 16-bit moments."""
    x = tf.cast(tf.constant([[[[256.0, 258.0, 260.0]]]]), tf.bfloat16)
    layer = ConditionalLayerNormalization(dtype="mixed_bfloat16")
    outputs = layer(x, tf.ones([1, 3]), tf.zeros([1, 3]))
    np.testing.assert_allclose(tf.cast(outputs, tf.float32)[0, 0, 0],
                               [-1.5 ** 0.5, 0, 1.5 ** 0.5], rtol=5e-3)


@pytest.mark.parametrize("epsilon", [0, -1e-3])
def test_epsilon_must_be_positive(epsilon):
    text = f"`epsilon` should be a number > 0. Received: {epsilon!r}."
    with pytest.raises(ValueError, match=re.escape(text)):
        ConditionalLayerNormalization(epsilon)
