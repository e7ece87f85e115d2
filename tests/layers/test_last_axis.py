import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.layers import TaskInterest
from dtrn_tf.layers.last_axis import on_last_axis
from dtrn_tf.layers.variables import table_variable


@pytest.mark.parametrize("shape", [(7,), (3, 7), (3, 5, 7), (2, 0, 5, 7)])
def test_equals_the_product_with_every_vector(shape):
    dense = tf.keras.layers.Dense(4, activation="relu", bias_initializer="ones")
    inputs = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    outputs = on_last_axis(dense, tf.constant(inputs))
    kernel, bias = dense.get_weights()
    np.testing.assert_allclose(outputs, np.maximum(inputs @ kernel + bias, 0), atol=1e-5)


def test_is_one_product_of_two_matrices():
    """tf.matmul over all axes writes outside its memory: TensorFlow 2.21, oneDNN, varying L."""
    dense = tf.keras.layers.Dense(4)
    dense.build((None, 7))
    graph = tf.function(lambda x: on_last_axis(dense, x)).get_concrete_function(
        tf.TensorSpec([None, None, 3, 7])).graph
    products = [op.type for op in graph.get_operations() if "MatMul" in op.type]
    assert products == ["MatMul"]


def test_lengths_that_vary_from_step_to_step():
    """From no position at all to the longest, in one graph."""
    layer = TaskInterest(num_tasks=3, feedforward_units=32)
    layer.build([(None, None, 8)])
    variables = [table_variable(v) for v in layer.trainable_variables]
    random = np.random.default_rng(1)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 8]), tf.TensorSpec([None, None],
                                                                                tf.bool)])
    def gradients(sequence, mask):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer([sequence], [mask])))
        return [tf.reduce_sum(g) for g in tape.gradient(loss, variables)]

    for step in range(200):
        length = (3, 2, 3, 1, 0, 3, 2)[step % 7]
        sequence = random.normal(size=(5, length, 8)).astype(np.float32)
        mask = random.random((5, length)) < 0.6
        assert all(np.isfinite(g) for g in gradients(sequence, mask))
