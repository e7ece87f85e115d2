import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, mlp, normal, randomize,
                       raw)

from dtrn_tf.layers import PEPNet


def _gate(layer, x, s):
    hidden = tf.linalg.matvec(raw(layer.hidden.kernel)[s], x, transpose_a=True)
    hidden = tf.nn.relu(hidden + raw(layer.hidden.bias)[s])
    outer = tf.linalg.matvec(raw(layer.excitation.kernel)[s], hidden, transpose_a=True)
    return 2 * tf.sigmoid(outer + raw(layer.excitation.bias)[s])


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    layer = PEPNet(3, [11, 7], 5, dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)

    def task(b, k):
        own = x[b, k % views]
        h = _gate(layer.embedding_gate, tf.stop_gradient(own), 0) * own
        seen = tf.stop_gradient(h)
        for gate, hidden in zip(layer.gates, layer.hidden):
            h = _gate(gate, seen, k) * mlp(h, hidden, k)
        return h

    assert_equal_with_gradients(
        lambda: layer(x), lambda: tf.stack([[task(b, k) for k in range(3)] for b in range(2)]),
        [x, *layer.trainable_weights])


def test_gates_do_not_train_what_steers_them():
    """With hidden layers that ignore the embeddings, these get no gradient."""
    layer = PEPNet(3, [7], 5)
    x = tf.random.stateless_normal([5, 1, 13], (1, 2))
    layer(x)
    kernel, bias = layer.hidden[0].get_weights()
    layer.hidden[0].set_weights([0 * kernel, bias + 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
    gradient, of_gate = tape.gradient(outputs, [x, layer.gates[0].trainable_weights[0]])
    assert not np.any(gradient) and np.any(of_gate)


def test_one_tasks_loss_leaves_the_other_tasks_alone():
    layer = PEPNet(3, [7], 5)
    x = tf.random.stateless_normal([11, 1, 13], (1, 2))
    layer(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 1])
    weights = [*layer.gates[0].trainable_weights, *layer.hidden[0].trainable_weights]
    for gradient in tape.gradient(loss, weights):
        used = np.abs(gradient).reshape(3, -1).any(axis=1)
        assert used.tolist() == [False, True, False]


def test_no_two_tasks_start_equal():
    layer = PEPNet(3, [7], 5)
    layer.build((None, 1, 13))
    assert_all_different(layer.hidden[0].hidden[0].kernel)
    assert_all_different(layer.gates[0].hidden.kernel)


def test_dropout_only_in_training():
    layer, x = PEPNet(3, [31], 5, dropout=0.5), tf.ones([2, 1, 13])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
