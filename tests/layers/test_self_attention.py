import re

import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, normal, randomize,
                       self_attention)

from dtrn_tf.layers import SelfAttention

LENGTHS = (5, 1, 3)
MASK = tf.constant(np.arange(5) < np.array(LENGTHS)[:, None])


@pytest.mark.parametrize("num_heads", [1, 2, 3])
def test_equals_a_loop(num_heads):
    layer = SelfAttention(num_heads, dtype="float64")
    x = normal(3, 5, 2, 6)
    layer(x, MASK)
    randomize(layer)

    def loop():
        return tf.concat([tf.reshape(self_attention(x[b, :n, j], layer), [-1])
                          for b, n in enumerate(LENGTHS) for j in range(2)], 0)

    def valid():
        y = layer(x, MASK)
        return tf.concat([tf.reshape(y[b, :n, j], [-1])
                          for b, n in enumerate(LENGTHS) for j in range(2)], 0)

    assert_equal_with_gradients(valid, loop, [x, *layer.trainable_weights])


def test_padding_changes_nothing_and_stays_finite():
    layer = SelfAttention(2)
    x = tf.cast(normal(3, 5, 1, 6), tf.float32)
    mask = tf.constant(np.arange(5) < np.array([5, 0, 3])[:, None])
    expected = layer(x, mask).numpy()
    assert np.isfinite(expected).all()
    changed = layer(tf.where(mask[:, :, None, None], x, 1e3), mask).numpy()
    np.testing.assert_array_equal(changed[mask], expected[mask])
    padding = [[0, 0], [0, 2], [0, 0], [0, 0]]
    longer = layer(tf.pad(x, padding), tf.pad(mask, padding[:2])).numpy()
    np.testing.assert_allclose(longer[:, :5][mask], expected[mask], rtol=1e-5, atol=1e-6)


def test_projections_start_different():
    layer = SelfAttention(2)
    layer.build((None, None, 1, 6))
    assert_all_different(layer.projections.kernel)


def test_heads_must_divide_the_width():
    text = "`num_heads` should divide the width 6 of the input. Received: 4."
    with pytest.raises(ValueError, match=re.escape(text)):
        SelfAttention(4).build((None, None, 1, 6))
