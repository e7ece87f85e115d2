import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, randomize, transformer

from dtrn_tf.layers import ConditionalTransformer

LENGTHS = (5, 1, 3)
MASK = tf.constant(np.arange(5) < np.array(LENGTHS)[:, None])


def _norms(num_tasks, num_blocks):
    shape = (num_tasks, 2 * num_blocks, 6)
    return normal(*shape, seed=1), normal(*shape, seed=2)


@pytest.mark.parametrize("num_blocks", [1, 2])
@pytest.mark.parametrize("num_heads", [1, 2])
@pytest.mark.parametrize("num_tasks", [1, 3])
def test_equals_a_loop_over_tasks(num_blocks, num_heads, num_tasks):
    layer = ConditionalTransformer(num_blocks, num_heads, 7, dtype="float64")
    x, (gamma, beta) = normal(3, 5, 6), _norms(num_tasks, num_blocks)
    layer(x, MASK, gamma, beta)
    randomize(layer)

    def loop():
        return tf.concat([transformer(x[b, :n], layer, gamma[k], beta[k])
                          for b, n in enumerate(LENGTHS) for k in range(num_tasks)], 0)

    def valid():
        y = layer(x, MASK, gamma, beta)  # [B, L, K, D]
        return tf.concat(
            [y[b, :n, k] for b, n in enumerate(LENGTHS) for k in range(num_tasks)], 0)

    assert_equal_with_gradients(valid, loop, [x, gamma, beta, *layer.trainable_weights])


def test_first_attention_is_computed_once_for_all_tasks():
    """The only [.., L, L] products of one block have no task axis; of two, the second's do."""
    for num_blocks, expected in ((1, {5 * 11 * 11}), (2, {5 * 11 * 11, 5 * 3 * 11 * 11})):
        layer = ConditionalTransformer(num_blocks, feedforward_units=7)
        specs = [tf.TensorSpec([5, 11, 6]), tf.TensorSpec([5, 11], tf.bool),
                 *[tf.TensorSpec([3, 2 * num_blocks, 6])] * 2]
        graph = tf.function(layer).get_concrete_function(*specs).graph
        softmax = [op.outputs[0] for op in graph.get_operations() if op.type == "Softmax"]
        assert {x.shape.num_elements() for x in softmax} == expected


def test_blocks_start_different():
    layer = ConditionalTransformer(2, 1, 7)
    layer.build((None, None, 6))
    first, second = (np.concatenate([w.ravel() for w in block.get_weights() if w.any()])
                     for block in layer.blocks)
    assert not np.isclose(first, second).any()
