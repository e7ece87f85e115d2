"""The peers compute what they stand for: their ratios compare speed and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.padded_transformer import PaddedTransformer
from benchmarks.plain_loop import PlainLoop
from dtrn_tf.layers import TaskInterest

K, T, B, L, D, H, UNITS = 3, 2, 5, 7, 6, 2, 11


@pytest.fixture
def sequences():
    rng = np.random.default_rng(1)
    lengths = np.array([[0, 7, 1, 4, 2], [3, 0, 7, 5, 1]])  # [T, B], each with an empty sequence
    values = [tf.constant(rng.normal(size=(B, L, D)), tf.float32) for _ in range(T)]
    return values, [tf.constant(np.arange(L) < lengths[t][:, None]) for t in range(T)]


def randomized(layer, sequences):
    layer(*sequences)
    rng = np.random.default_rng(2)
    layer.set_weights([rng.normal(size=w.shape, scale=0.5) for w in layer.get_weights()])
    return layer


def copy_block(source, target):
    """The weights of a block of TaskInterest to a block of Keras layers."""
    heads, width = (D, H, D // H), (H, D // H, D)
    query, key, value = source.attention.projections.kernel.numpy()
    zeros = np.zeros([H, D // H])
    # The query's, key's and value's bias: ours has none.
    target.attention.set_weights([
        query.reshape(heads), zeros, key.reshape(heads), zeros, value.reshape(heads), zeros,
        source.attention.output_projection.kernel.numpy().reshape(width),
        source.attention.output_projection.bias.numpy()])
    target.hidden.set_weights([source.hidden_kernel.numpy(), source.hidden_bias.numpy()])
    target.projection.set_weights(source.feedforward_output.get_weights())


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_padded_transformer_is_the_task_agnostic_transformer(sequences, num_blocks):
    ours = TaskInterest(1, H, UNITS, num_blocks, initialization="identity")
    peer = PaddedTransformer(H, UNITS, num_blocks)
    randomized(ours, sequences)
    for weight in ours.hypernetwork.perceptron[-1].weights:
        weight.assign(tf.zeros_like(weight))  # gamma = 1, beta = 0, as the peer starts
    peer(*sequences)
    for source, target in zip(ours.transformer.blocks, peer.blocks):
        copy_block(source, target)
    found, expected = peer(*sequences).numpy(), ours(*sequences).numpy()
    assert found.shape == (B, 1, T, D)
    filled = np.array([mask.numpy().any(1) for mask in sequences[1]]).T  # [B, T]
    np.testing.assert_allclose(found[:, 0][filled], expected[:, 0][filled], rtol=1e-4, atol=1e-4)
    assert (found[:, 0][~filled] == 0).all()


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_plain_loop_is_the_task_interest(sequences, num_blocks):
    ours = randomized(TaskInterest(K, H, UNITS, num_blocks), sequences)
    peer = PlainLoop(K, H, UNITS, num_blocks)
    peer(*sequences)
    for source, target in zip(ours.transformer.blocks, peer.blocks):
        copy_block(source, target)
    peer.hypernetwork.set_weights(ours.hypernetwork.get_weights())
    for name in ("task_embeddings", "behavior_embeddings", "no_history"):
        getattr(peer, name).assign(getattr(ours, name))
    found = peer(*sequences).numpy()
    assert found.shape == (B, K, T, D)
    np.testing.assert_allclose(found, ours(*sequences).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [lambda: PaddedTransformer(H, UNITS, 2),
                                  lambda: PlainLoop(K, H, UNITS, 2)])
def test_padding_changes_nothing_and_every_weight_learns(sequences, make):
    peer = randomized(make(), sequences)
    values, masks = sequences
    changed = [tf.where(mask[..., tf.newaxis], x, 9.0) for x, mask in zip(values, masks)]
    np.testing.assert_allclose(peer(changed, masks), peer(values, masks), rtol=1e-5, atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(peer(values, masks) ** 2)
    gradients = tape.gradient(loss, [w.value for w in peer.trainable_weights],
                              unconnected_gradients="zero")
    for weight, gradient in zip(peer.trainable_weights, gradients):
        # The softmax does not see a bias of the keys.
        assert np.any(np.abs(gradient) > 1e-3) or weight.path.endswith("key/bias"), weight.path
