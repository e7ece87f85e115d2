import numpy as np
import pytest
import tensorflow as tf
from reference import assert_all_different, assert_equal_with_gradients, normal, randomize
from home_reference import experts

from dtrn_tf.layers import NormalizedExperts


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_equals_a_loop(groups):
    layer = NormalizedExperts(6, 2, [11, 7], 4, dtype="float64")
    x = normal(2, groups, 13)
    layer(x)
    randomize(layer)

    def row(b):
        return [expert for m in range(6) for expert in experts(x[b, m * groups // 6], layer, m)]

    assert_equal_with_gradients(lambda: layer(x), lambda: tf.stack([row(b) for b in range(2)]),
                                [x, *layer.trainable_weights])


def test_outputs_of_all_experts_have_one_scale():
    layer = NormalizedExperts(3, 2, [64], 4)
    x = tf.random.stateless_normal([50, 1, 13], (1, 2))
    before = layer(x).numpy()
    layer.hidden[0].set_weights([w * 100 for w in layer.hidden[0].get_weights()])
    np.testing.assert_allclose(layer(x), before, rtol=1e-3, atol=1e-3)


def test_no_two_experts_start_equal():
    layer = NormalizedExperts(3, 2, [7], 4)
    layer.build((None, 1, 13))
    assert_all_different(layer.hidden[0].kernel)


def test_dropout_only_in_training():
    layer, x = NormalizedExperts(3, 2, [31], 4, dropout=0.5), normal(2, 1, 13)
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
