import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, lay_out, normal, randomize, transformer

from dtrn_tf.layers.conditional_layer_normalization import scale_and_shift
from dtrn_tf.layers.conditional_transformer import ConditionalTransformer
from dtrn_tf.layers.sequences import PaddedSequences

LENGTHS = (5, 0, 1, 3)


@pytest.mark.parametrize("kind", ["packed", "padded"])
@pytest.mark.parametrize("num_blocks", [1, 2])
@pytest.mark.parametrize("num_heads", [1, 2])
@pytest.mark.parametrize("num_tasks", [1, 3])
def test_equals_a_loop_over_tasks(num_blocks, num_heads, num_tasks, kind):
    layer = ConditionalTransformer(num_blocks, num_heads, 7, dtype="float64")
    x = normal(4, 5, 6)
    gamma, beta = (normal(num_tasks, 2 * num_blocks, 6, seed=seed) for seed in (1, 2))
    layer.build((None, 6))
    randomize(layer)

    def loop():
        return tf.concat([tf.stack([transformer(x[s, :n], layer, gamma[k], beta[k])
                                    for k in range(num_tasks)], 1)
                          for s, n in enumerate(LENGTHS) if n], 0)

    def encoded():
        tokens, sequences, events = lay_out(kind, x, LENGTHS)
        normalized = layer(tokens, sequences=sequences, gamma=gamma, beta=beta)
        return events(scale_and_shift(normalized, gamma[:, -1], beta[:, -1]))

    assert_equal_with_gradients(encoded, loop, [x, gamma, beta, *layer.trainable_weights])


def test_first_attention_is_computed_once_for_all_tasks():
    """The only [.., L, L] products of one block have no task axis; of two, the second's do."""
    for num_blocks, expected in ((1, {5 * 11 * 11}), (2, {5 * 11 * 11, 5 * 3 * 11 * 11})):
        layer = ConditionalTransformer(num_blocks, feedforward_units=7)

        def encode(x, gamma, beta):
            sequences = PaddedSequences(tf.ones([5, 11], tf.bool))
            return layer(x, sequences=sequences, gamma=gamma, beta=beta)

        specs = [tf.TensorSpec([55, 6]), *[tf.TensorSpec([3, 2 * num_blocks, 6])] * 2]
        graph = tf.function(encode).get_concrete_function(*specs).graph
        softmax = [op.outputs[0] for op in graph.get_operations() if op.type == "Softmax"]
        assert {x.shape.num_elements() for x in softmax} == expected


def test_blocks_start_different():
    layer = ConditionalTransformer(2, 1, 7)
    layer.build((None, 6))
    first, second = (np.concatenate([w.ravel() for w in block.get_weights() if w.any()])
                     for block in layer.blocks)
    assert not np.isclose(first, second).any()
