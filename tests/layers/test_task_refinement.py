import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, mlp, normal, randomize, raw

from dtrn_tf.layers import TaskRefinement


@pytest.mark.parametrize("granularity", ["field", "element"])
@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(granularity, views):
    layer = TaskRefinement(3, [11, 7], granularity, dtype="float64")
    fields = normal(2, views, 5, 4)
    layer(fields)
    randomize(layer)

    def loop():
        rows = []
        for b in range(2):
            for k in range(3):
                x = fields[b, k % views]
                hidden = mlp(tf.reshape(x, [-1]), layer.hidden, k)
                kernel, bias = raw(layer.excitation.kernel)[k], raw(layer.excitation.bias)[k]
                logits = tf.linalg.matvec(kernel, hidden, transpose_a=True) + bias
                weights = 2 / (1 + tf.exp(-logits))
                rows.append(tf.reshape(weights, [5, -1]) * x)
        return tf.reshape(tf.stack(rows), [2, 3, 5, 4])

    assert_equal_with_gradients(lambda: layer(fields), loop, [fields, *layer.trainable_weights])


@pytest.mark.parametrize("granularity", ["field", "element"])
def test_starts_near_the_fields_but_no_two_tasks_equal(granularity):
    fields = tf.random.stateless_normal([5, 1, 7, 4], (1, 2))
    ratio = (TaskRefinement(3, [16], granularity)(fields) / fields).numpy()
    assert 0 < np.abs(ratio - 1).max() < 0.2
    for k in range(3):
        assert np.abs(ratio[:, k] - ratio[:, k - 1]).max() > 1e-3


def test_permuting_tasks_permutes_outputs():
    layer = TaskRefinement(3, [11])
    fields = tf.random.stateless_normal([2, 1, 5, 4], (1, 2))
    before, order = layer(fields).numpy(), [2, 0, 1]
    layer.set_weights([w[order] for w in layer.get_weights()])
    np.testing.assert_allclose(layer(fields), before[:, order], rtol=1e-6)


def test_one_tasks_loss_leaves_the_other_senets_alone():
    layer = TaskRefinement(3, [11])
    fields = tf.random.stateless_normal([2, 1, 5, 4], (1, 2))
    layer(fields)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(fields)[:, 1] ** 2)
    for gradient in tape.gradient(loss, layer.trainable_weights):
        used = np.abs(gradient).reshape(3, -1).any(axis=1)
        assert used.tolist() == [False, True, False]


def test_rows_do_not_depend_on_the_batch():
    layer = TaskRefinement(3, [11])
    fields = tf.random.stateless_normal([7, 3, 5, 4], (1, 2))
    np.testing.assert_allclose(layer(fields[2:3]), layer(fields)[2:3], rtol=1e-5)
