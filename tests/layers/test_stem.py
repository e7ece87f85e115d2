import re

import numpy as np
import pytest
import tensorflow as tf
from reference import (assert_all_different, assert_equal_with_gradients, gate, mlp, normal,
                       randomize)

from dtrn_tf.layers import STEM

FIELDS, WIDTH = 5, 2


def _layer(dtype="float32", **options):
    layer = STEM(3, 2, 2, [11, 7], WIDTH, dtype=dtype, **options)
    layer.build((None, 1, FIELDS * 4 * WIDTH))
    return layer


def _slices(row):
    """The embeddings of the three tasks and the shared ones, field by field."""
    return [tf.concat([row[(4 * f + k) * WIDTH:(4 * f + k + 1) * WIDTH] for f in range(FIELDS)], 0)
            for k in range(4)]


def test_equals_a_loop():
    layer = _layer("float64")
    x = normal(3, 1, FIELDS * 4 * WIDTH)
    randomize(layer)

    def row(b):
        *tasks, shared = _slices(x[b, 0])
        own = [mlp(tasks[k], layer.task_experts, 2 * k + e) for k in range(3) for e in range(2)]
        common = [mlp(shared, layer.shared_experts, e) for e in range(2)]
        outputs = []
        for k in range(3):
            g = gate(tasks[k] + shared, layer.gates, k)
            experts = [x if i // 2 == k else tf.stop_gradient(x) for i, x in enumerate(own)]
            outputs.append(tf.add_n([g[i] * x for i, x in enumerate(experts + common)]))
        return tf.stack(outputs)

    assert_equal_with_gradients(lambda: layer(x), lambda: tf.stack([row(b) for b in range(3)]),
                                [x, *layer.trainable_weights])


def test_a_task_reads_all_embeddings_and_trains_its_own_and_the_shared_ones():
    layer = _layer()
    x = tf.random.stateless_normal([5, 1, FIELDS * 4 * WIDTH], (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)[:, 1]
    gradient = tf.reshape(tape.gradient(output, x), [5, FIELDS, 4, WIDTH])
    assert (np.abs(gradient).sum(axis=(0, 1, 3)) > 0).tolist() == [False, True, False, True]
    moved = tf.reshape(x, [5, FIELDS, 4, WIDTH]) + tf.constant([1.0, 0, 0, 0])[:, tf.newaxis]
    assert not np.allclose(layer(tf.reshape(moved, x.shape))[:, 1], output)


def test_no_two_experts_or_gates_start_equal():
    layer = _layer()
    assert_all_different(layer.task_experts.hidden[0].kernel, layer.shared_experts.hidden[0].kernel)
    assert_all_different(layer.gates.kernel)


@pytest.mark.parametrize("shape", [(None, 3, 40), (None, 1, 42)])
def test_other_inputs(shape):
    text = ("Input should be one representation for all tasks, of fields with 4 slices of width 2: "
            f"[B, 1, F * 8]. Received: shape {shape}.")
    with pytest.raises(ValueError, match=re.escape(text)):
        STEM(3, 2, 2, [7], WIDTH).build(shape)


def test_dropout_only_in_training():
    layer, x = _layer(dropout=0.5), tf.ones([2, 1, FIELDS * 4 * WIDTH])
    np.testing.assert_array_equal(layer(x), layer(x))
    assert not np.allclose(layer(x), layer(x, training=True))
