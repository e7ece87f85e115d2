import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, mlp, normal, randomize

from dtrn_tf.layers import ParallelMLP


@pytest.mark.parametrize("groups", [1, 3])
def test_equals_separate_perceptrons(groups):
    layer = ParallelMLP(3, [7, 5], dtype="float64")
    inputs = normal(11, groups, 2)
    layer(inputs)
    randomize(layer)

    def loop():
        return tf.stack([[mlp(inputs[b, s % groups], layer, s) for s in range(3)]
                         for b in range(11)])

    assert_equal_with_gradients(lambda: layer(inputs), loop, [inputs, *layer.trainable_weights])


def test_no_layers_return_the_inputs():
    inputs = tf.ones([2, 3, 5])
    np.testing.assert_array_equal(ParallelMLP(3, [])(inputs), inputs)


def test_dropout_only_in_training():
    layer = ParallelMLP(1, [1009], dropout=0.25)
    inputs = tf.ones([1, 1, 3])
    layer.build(inputs.shape)
    layer.set_weights([np.zeros([1, 3, 1009]), np.ones([1, 1009])])
    np.testing.assert_array_equal(layer(inputs), np.ones([1, 1, 1009]))
    kept = layer(inputs, training=True).numpy()
    np.testing.assert_allclose(np.unique(kept), [0.0, 1 / 0.75], rtol=1e-6)
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.06)
