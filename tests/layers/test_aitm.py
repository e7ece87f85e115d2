import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, mlp, normal, randomize,
                       raw)

from dtrn_tf.layers import AITM


def _times(x, kernel):
    return tf.linalg.matvec(kernel, x, transpose_a=True)


def _transfer(own, before, handover, attention):
    handed = tf.nn.relu(_times(before, raw(handover.kernel)[0]) + raw(handover.bias)[0])
    value, key, query = tf.unstack(raw(attention.kernel))
    scores = [tf.reduce_sum(_times(u, key) * _times(u, query)) / u.shape[0] ** 0.5
              for u in (own, handed)]
    weights = tf.nn.softmax(tf.stack(scores))
    return weights[0] * _times(own, value) + weights[1] * _times(handed, value)


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    layer = AITM(3, [11, 7], dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)

    def row(b):
        own = [mlp(x[b, k % views], layer.bottoms, k) for k in range(3)]
        outputs = own[:1]
        for k in (1, 2):
            outputs.append(_transfer(own[k], outputs[-1], layer.handovers[k - 1],
                                     layer.attentions[k - 1]))
        return tf.stack(outputs)

    assert_equal_with_gradients(lambda: layer(x), lambda: tf.stack([row(b) for b in range(2)]),
                                [x, *layer.trainable_weights])


def test_a_task_depends_on_the_tasks_before_alone():
    layer = AITM(3, [7])
    x = tf.random.stateless_normal([5, 3, 13], (1, 2))
    for task in range(3):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)[:, task]
        used = np.abs(tape.gradient(output, x)).sum(axis=(0, 2)) > 0
        assert used.tolist() == [other <= task for other in range(3)]


def test_one_task_is_a_perceptron():
    layer, x = AITM(1, [7]), tf.ones([2, 1, 13])
    np.testing.assert_array_equal(layer(x), layer.bottoms(x))
    assert len(layer.weights) == 2


def test_no_two_tasks_start_equal():
    layer = AITM(3, [7])
    layer.build((None, 1, 7))
    assert_all_different(layer.bottoms.hidden[0].kernel)
    assert_all_different(*(attention.kernel for attention in layer.attentions))


def test_dropout_only_in_training():
    layer, x = AITM(3, [31], dropout=0.5), tf.ones([2, 1, 13])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
