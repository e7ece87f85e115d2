import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, mlp, normal, randomize,
                       raw)

from dtrn_tf.layers import CrossStitch, ParallelMLP


@pytest.mark.parametrize("views", [1, 3])
def test_equals_a_loop(views):
    layer = CrossStitch(3, [11, 7], dtype="float64")
    x = normal(2, views, 13)
    layer(x)
    randomize(layer)

    def row(b):
        h = [x[b, k % views] for k in range(3)]
        for hidden, stitch in zip(layer.hidden, layer.stitches):
            own = [mlp(h[k], hidden, k) for k in range(3)]
            h = [tf.add_n([raw(stitch)[k, j] * own[j] for j in range(3)]) for k in range(3)]
        return tf.stack(h)

    assert_equal_with_gradients(lambda: layer(x), lambda: tf.stack([row(b) for b in range(2)]),
                                [x, *layer.trainable_weights])


def test_starts_with_mostly_its_own():
    layer = CrossStitch(3, [2])
    layer.build((None, 1, 7))
    for column in (0, 1):
        np.testing.assert_allclose(
            raw(layer.stitches[0])[..., column],
            [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]], rtol=1e-6)


def test_one_task_is_a_perceptron():
    layer, alone = CrossStitch(1, [5, 3]), ParallelMLP(1, [5, 3])
    x = tf.random.stateless_normal([2, 1, 7], (1, 2))
    layer(x), alone(x)
    alone.set_weights([w for hidden in layer.hidden for w in hidden.get_weights()])
    np.testing.assert_allclose(layer(x), alone(x), rtol=1e-6)


def test_no_two_tasks_start_equal():
    layer = CrossStitch(3, [7])
    layer.build((None, 1, 13))
    assert_all_different(layer.hidden[0].hidden[0].kernel)


def test_dropout_only_in_training():
    layer, x = CrossStitch(3, [31], dropout=0.5), tf.ones([2, 1, 13])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
