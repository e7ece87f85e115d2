import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, customized_gate_control,
                       normal, randomize)

from dtrn_tf.layers import PLE


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("num_levels", [1, 2, 3])
def test_equals_a_loop(views, num_levels):
    layer = PLE(3, 2, 5, [11, 7], num_levels, dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)

    def row(b):
        tasks = stream = [x[b, k % views] for k in range(3)]
        for level in layer.levels:
            tasks, stream = customized_gate_control(level, tasks, stream)
        return tf.stack(tasks)

    assert_equal_with_gradients(
        lambda: layer(x), lambda: tf.stack([row(b) for b in range(2)]),
        [x, *layer.trainable_weights])


@pytest.mark.parametrize("num_levels", [1, 2])
def test_equal_inputs_are_the_papers_ple(num_levels):
    """One shared stream for all tasks: repeating the input changes nothing."""
    layer = PLE(3, 2, 1, [7], num_levels, dtype="float64")
    x = normal(2, 1, 13)
    layer(x)
    randomize(layer)
    assert_equal_with_gradients(lambda: layer(x), lambda: layer(tf.repeat(x, 3, axis=1)),
                                [x, *layer.trainable_weights])


def test_permuting_tasks_permutes_outputs():
    layer, order = PLE(3, 2, 1, [7]), [2, 0, 1]
    x = tf.random.stateless_normal([2, 3, 13], (1, 2))
    before = layer(x).numpy()
    level = layer.levels[0]
    level.task_gates.set_weights([w[order] for w in level.task_gates.get_weights()])
    experts = [2 * k + e for k in order for e in range(2)]
    level.task_experts.set_weights([w[experts] for w in level.task_experts.get_weights()])
    np.testing.assert_allclose(layer(tf.gather(x, order, axis=1)), before[:, order], rtol=1e-4,
                               atol=1e-6)


def test_one_tasks_loss_leaves_the_other_tasks_experts_and_gates_alone():
    layer = PLE(3, 2, 1, [7])
    x = tf.random.stateless_normal([2, 1, 13], (1, 2))
    layer(x)
    level = layer.levels[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 1])
    weights = [*level.task_gates.trainable_weights, *level.task_experts.trainable_weights]
    for gradient in tape.gradient(loss, weights):
        used = np.abs(gradient).reshape(3, -1).any(axis=1)
        assert used.tolist() == [False, True, False]


def test_the_last_level_has_no_gate_of_the_shared_stream():
    layer = PLE(3, 2, 1, [7], num_levels=2)
    layer.build((None, 1, 13))
    assert [level.shared_gate for level in layer.levels] == [True, False]
    assert [len(level.weights) for level in layer.levels] == [6, 5]


def test_no_two_experts_start_equal():
    layer = PLE(3, 2, 2, [7], num_levels=2)
    layer.build((None, 1, 7))
    assert_all_different(*(experts.hidden[0].kernel for level in layer.levels
                           for experts in (level.task_experts, level.shared_experts)))


def test_rows_do_not_depend_on_the_batch():
    layer, x = PLE(3, 2, 1, [7], 2), tf.random.stateless_normal([5, 1, 13], (1, 2))
    np.testing.assert_allclose(layer(x[2:3]), layer(x)[2:3], rtol=1e-4, atol=1e-6)


def test_dropout_only_in_training():
    layer, x = PLE(3, 2, 1, [31], 2, dropout=0.5), tf.ones([2, 1, 13])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
