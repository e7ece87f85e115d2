import numpy as np
import tensorflow as tf
from reference import assert_all_different

from dtrn_tf.layers import NumericEmbedding


def test_hand_computed():
    layer = NumericEmbedding(2)
    layer.build((None, 3))
    layer.set_weights([np.array([[1, 2], [3, 4], [5, 6]]), np.array([[0, 0], [10, 20], [0, 1]])])
    outputs = layer(tf.constant([[1.0, 2.0, -1.0]]))
    assert outputs.numpy().tolist() == [[[1, 2], [16, 28], [-5, -5]]]


def test_no_two_fields_start_equal():
    layer = NumericEmbedding(5)
    layer.build((None, 3))
    assert_all_different(layer.kernel, layer.bias)
