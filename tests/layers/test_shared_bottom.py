import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, mlp, normal, randomize

from dtrn_tf.layers import SharedBottom


@pytest.mark.parametrize("views", [1, 3])
def test_equals_one_perceptron_on_every_input(views):
    layer = SharedBottom([7, 5], dtype="float64")
    x = normal(11, views, 2)
    layer(x)
    randomize(layer)

    def loop():
        return tf.stack([[mlp(x[b, j], layer.bottom, 0) for j in range(views)] for b in range(11)])

    assert_equal_with_gradients(lambda: layer(x), loop, [x, *layer.trainable_weights])


def test_dropout_only_in_training():
    layer, x = SharedBottom([101], dropout=0.5), tf.ones([2, 1, 3])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
