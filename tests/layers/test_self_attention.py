import re

import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, lay_out, normal,
                       randomize, self_attention)

from dtrn_tf.layers.self_attention import SelfAttention

LENGTHS = (5, 0, 1, 3)


@pytest.mark.parametrize("kind", ["packed", "padded"])
@pytest.mark.parametrize("num_heads", [1, 2, 3])
def test_equals_a_loop(num_heads, kind):
    layer = SelfAttention(num_heads, dtype="float64")
    x = normal(4, 5, 2, 6)
    layer.build((None, 2, 6))
    randomize(layer)

    def loop():
        return tf.concat([tf.stack([self_attention(x[s, :n, j], layer) for j in range(2)], 1)
                          for s, n in enumerate(LENGTHS) if n], 0)

    def layers():
        tokens, sequences, events = lay_out(kind, x, LENGTHS)
        return events(layer(tokens, sequences=sequences))

    assert_equal_with_gradients(layers, loop, [x, *layer.trainable_weights])


def test_padding_changes_nothing_and_stays_finite():
    layer = SelfAttention(2)
    x = tf.cast(normal(4, 5, 1, 6), tf.float32)
    tokens, sequences, events = lay_out("padded", x, LENGTHS)
    expected = layer(tokens, sequences=sequences)
    assert np.isfinite(expected).all()
    mask = tf.sequence_mask(LENGTHS, 5)[:, :, None, None]
    tokens, sequences, _ = lay_out("padded", tf.where(mask, x, 1e3), LENGTHS)
    changed = layer(tokens, sequences=sequences)
    np.testing.assert_array_equal(events(changed), events(expected))
    longer = tf.pad(x, [[0, 0], [0, 2], [0, 0], [0, 0]])
    tokens, sequences, more = lay_out("padded", longer, LENGTHS)
    np.testing.assert_allclose(more(layer(tokens, sequences=sequences)), events(expected),
                               rtol=1e-5, atol=1e-6)


def test_projections_start_different():
    layer = SelfAttention(2)
    layer.build((None, 1, 6))
    assert_all_different(layer.projections.kernel)


def test_heads_must_divide_the_width():
    text = "`num_heads` should divide the width 6 of the input. Received: 4."
    with pytest.raises(ValueError, match=re.escape(text)):
        SelfAttention(4).build((None, 1, 6))
