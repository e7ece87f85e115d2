import re

import numpy as np
import pytest
import tensorflow as tf
from reference import assert_all_different, assert_equal_with_gradients, mlp, normal, randomize, raw

from dtrn_tf.layers import TaskTowers


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("units", [[], [11, 7]])
def test_equals_a_loop(views, units):
    layer = TaskTowers(3, units, [0.5, 0.1, None], dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)

    def logit(b, k):
        hidden = mlp(x[b, k % views], layer.towers, k)
        return tf.reduce_sum(raw(layer.heads.kernel)[k, :, 0] * hidden) + raw(layer.bias)[k]

    assert_equal_with_gradients(
        lambda: layer(x), lambda: tf.stack([[logit(b, k) for k in range(3)] for b in range(2)]),
        [x, *layer.trainable_weights])


def test_starts_at_the_base_rates():
    layer = TaskTowers(3, [5], [0.45, 0.017, None])
    probabilities = tf.sigmoid(layer(tf.zeros([2, 1, 7]))).numpy()
    np.testing.assert_allclose(probabilities, [[0.45, 0.017, 0.5]] * 2, rtol=1e-5)


def test_no_base_rates_start_at_a_half():
    assert not TaskTowers(3, [5])(tf.zeros([2, 1, 7])).numpy().any()


def test_logits_are_not_rounded_under_mixed_precision():
    layer = TaskTowers(2, [], [0.3, 0.01], dtype="mixed_bfloat16")
    logits = layer(tf.zeros([1, 1, 7]))
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, [np.log([3 / 7, 1 / 99])], rtol=1e-6)


def test_permuting_tasks_permutes_outputs():
    layer, order = TaskTowers(3, [5], [0.1, 0.2, 0.3]), [2, 0, 1]
    x = tf.random.stateless_normal([2, 3, 7], (1, 2))
    before = layer(x).numpy()
    layer.set_weights([w[order] for w in layer.get_weights()])
    np.testing.assert_allclose(layer(tf.gather(x, order, axis=1)), before[:, order], rtol=1e-5)


def test_one_tasks_loss_leaves_the_other_towers_and_heads_alone():
    layer = TaskTowers(3, [50, 5])
    x = tf.random.stateless_normal([11, 1, 7], (1, 2))
    layer(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 1])
    for gradient in tape.gradient(loss, layer.trainable_weights):
        used = np.abs(gradient).reshape(3, -1).any(axis=1)
        assert used.tolist() == [False, True, False]


def test_no_two_towers_start_equal():
    layer = TaskTowers(3, [5])
    layer.build((None, 1, 7))
    for kernel in (layer.towers.hidden[0].kernel, layer.heads.kernel):
        assert_all_different(kernel)


def test_dropout_only_in_training():
    layer, x = TaskTowers(3, [101], dropout=0.5), tf.ones([2, 1, 7])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))


def test_one_base_rate_per_task():
    text = "`base_rates` should have one rate for each of the 3 tasks. Received: [0.5]."
    with pytest.raises(ValueError, match=re.escape(text)):
        TaskTowers(3, [5], [0.5])


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_base_rates_lie_between_0_and_1(rate):
    text = ("`base_rates` should be numbers between 0 and 1, both excluded, or None. "
            f"Received: [{rate!r}]. A task whose labels are all equal cannot be trained.")
    with pytest.raises(ValueError, match=re.escape(text)):
        TaskTowers(1, [5], [rate])
