import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, lay_out, normal, randomize, transformer_block

from dtrn_tf.layers.conditional_layer_normalization import scale_and_shift
from dtrn_tf.layers.conditional_transformer_block import ConditionalTransformerBlock

LENGTHS = (5, 0, 1, 3)


def _norms(*shape):
    return normal(*shape, seed=1), normal(*shape, seed=2)


@pytest.mark.parametrize("kind", ["packed", "padded"])
@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop_after_the_last_scale_and_shift(views, kind):
    layer = ConditionalTransformerBlock(2, 7, dtype="float64")
    x, (gamma, beta) = normal(4, 5, views, 6), _norms(3, 2, 6)
    layer.build((None, views, 6))
    randomize(layer)

    def loop():
        return tf.concat([tf.stack([transformer_block(x[s, :n, k % views], layer, gamma[k],
                                                      beta[k]) for k in range(3)], 1)
                          for s, n in enumerate(LENGTHS) if n], 0)

    def block():
        tokens, sequences, events = lay_out(kind, x, LENGTHS)
        normalized = layer(tokens, sequences=sequences, gamma=gamma[:, 0], beta=beta[:, 0])
        return events(scale_and_shift(normalized, gamma[:, 1], beta[:, 1]))

    assert_equal_with_gradients(block, loop, [x, gamma, beta, *layer.trainable_weights])


def test_one_shared_input_equals_the_same_input_for_every_task():
    layer = ConditionalTransformerBlock(1, 7, dtype="float64")
    x, (gamma, beta) = normal(4, 5, 1, 6), _norms(3, 6)
    tokens, sequences, _ = lay_out("packed", x, LENGTHS)
    layer.build((None, 1, 6))
    randomize(layer)
    assert_equal_with_gradients(
        lambda: layer(tokens, sequences=sequences, gamma=gamma, beta=beta),
        lambda: layer(tf.repeat(tokens, 3, 1), sequences=sequences, gamma=gamma, beta=beta),
        [tokens, gamma, beta, *layer.trainable_weights])


def test_dropout_only_in_training():
    layer = ConditionalTransformerBlock(1, 7, dropout=0.5)
    tokens, sequences, _ = lay_out("packed", tf.cast(normal(4, 5, 1, 6), tf.float32), LENGTHS)

    def call(**kwargs):
        return layer(tokens, sequences=sequences, gamma=tf.ones([3, 6]), beta=tf.zeros([3, 6]),
                     **kwargs)

    np.testing.assert_array_equal(call(), call(training=False))
    assert not np.allclose(call(), call(training=True))
