import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, gate, mlp, normal,
                       randomize)

from dtrn_tf.layers import MMoE


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    layer = MMoE(3, 5, [11, 7], dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)

    def task(b, k):
        gates = gate(x[b, k % views], layer.gates, k)
        return tf.add_n([gates[e] * mlp(x[b, k % views], layer.experts, e) for e in range(5)])

    assert_equal_with_gradients(
        lambda: layer(x), lambda: tf.stack([[task(b, k) for k in range(3)] for b in range(2)]),
        [x, *layer.trainable_weights])


def test_permuting_tasks_permutes_outputs():
    layer, order = MMoE(3, 5, [7]), [2, 0, 1]
    x = tf.random.stateless_normal([2, 3, 13], (1, 2))
    before = layer(x).numpy()
    layer.gates.set_weights([w[order] for w in layer.gates.get_weights()])
    np.testing.assert_allclose(layer(tf.gather(x, order, axis=1)), before[:, order], rtol=1e-4,
                               atol=1e-6)


def test_no_two_experts_or_gates_start_equal():
    layer = MMoE(3, 5, [7])
    layer.build((None, 1, 13))
    for kernel in (layer.experts.hidden[0].kernel, layer.gates.kernel):
        assert_all_different(kernel)


def test_one_tasks_loss_leaves_the_other_gates_alone():
    layer = MMoE(3, 5, [7])
    x = tf.random.stateless_normal([2, 1, 13], (1, 2))
    layer(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 1])
    gradient = tape.gradient(loss, layer.gates.trainable_weights[0])
    assert np.abs(gradient).reshape(3, -1).any(axis=1).tolist() == [False, True, False]


def test_rows_do_not_depend_on_the_batch():
    layer, x = MMoE(3, 5, [7]), tf.random.stateless_normal([5, 1, 13], (1, 2))
    np.testing.assert_allclose(layer(x[2:3]), layer(x)[2:3], rtol=1e-4, atol=1e-6)


def test_dropout_only_in_training():
    layer, x = MMoE(3, 5, [31], dropout=0.5), tf.ones([2, 1, 13])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
