import re

import numpy as np
import pytest
import tensorflow as tf
from home_reference import home
from reference import assert_equal_with_gradients, normal, randomize

from dtrn_tf.layers import HoME


@pytest.mark.parametrize("views, groups, num_experts", [
    (1, [0, 1, 0], 2), (3, [0, 1, 0], 1), (3, [0, 0, 0], 2)])
def test_equals_a_loop(views, groups, num_experts):
    layer = HoME(groups, num_experts, [7], 4, dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)
    assert_equal_with_gradients(
        lambda: layer(x),
        lambda: tf.stack([home(layer, [x[b, k % views] for k in range(3)]) for b in range(2)]),
        [x, *layer.trainable_weights])


def test_a_tasks_loss_leaves_other_tasks_and_groups_alone():
    layer = HoME([0, 1, 0], 2, [7], 4)
    x = tf.random.stateless_normal([11, 1, 13], (1, 2))
    layer(x)
    experts = [layer.task_experts, layer.common_experts, layer.meta_experts]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x)[:, 0])
    kernels = tape.gradient(loss, [layer_.hidden[0].trainable_weights[0] for layer_ in experts])
    used = [np.abs(kernel).reshape(3, -1).any(axis=1).tolist() for kernel in kernels]
    # The global experts of the first level see the input; those of group 1 reach task 0 through
    # the global representation alone.
    assert used == [[True, False, False], [True, False, True], [True, True, True]]


def test_equal_inputs_of_all_tasks_are_one_input():
    layer, x = HoME([0, 1, 0], 2, [7], 4), tf.random.stateless_normal([5, 1, 13], (1, 2))
    np.testing.assert_allclose(layer(tf.repeat(x, 3, axis=1)), layer(x), rtol=1e-4, atol=1e-5)


def test_rows_do_not_depend_on_the_batch():
    layer, x = HoME([0, 1, 0], 2, [7], 4), tf.random.stateless_normal([5, 1, 13], (1, 2))
    np.testing.assert_allclose(layer(x[2:3]), layer(x)[2:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [[], [1, 2], [0, 2], [0, -1]])
def test_bad_groups(groups):
    text = ("`groups` should number the groups of the tasks from 0 without a gap. "
            f"Received: {groups!r}.")
    with pytest.raises(ValueError, match=re.escape(text)):
        HoME(groups, 2, [7], 4)
