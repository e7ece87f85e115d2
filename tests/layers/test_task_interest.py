import re

import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, randomize, raw, task_interest

from dtrn_tf.layers import TaskInterest
from dtrn_tf.layers.variables import table_variable

LENGTHS = ([5, 0, 1, 3], [0, 0, 7, 2])  # per behaviour and row; row 1 has no history at all


def _masks():
    return [np.arange(max(n)) < np.array(n)[:, None] for n in LENGTHS]


def _inputs(dtype=tf.float64):
    sequences = [normal(4, max(n), 6, seed=t) for t, n in enumerate(LENGTHS)]
    return [tf.cast(x, dtype) for x in sequences], [tf.constant(m) for m in _masks()]


def _ragged(sequences):
    return [tf.RaggedTensor.from_tensor(x, lengths=n) for x, n in zip(sequences, LENGTHS)]


@pytest.mark.parametrize("num_blocks, num_heads, pooling, initialization", [
    (1, 1, "mean", "free"), (1, 1, "target", "free"), (1, 3, "mean", "identity"),
    (2, 2, "mean", "free"), (2, 3, "target", "identity")])
def test_equals_a_loop_over_tasks_and_behaviors(num_blocks, num_heads, pooling, initialization):
    """Ragged or padded."""
    layer = TaskInterest(3, num_heads, 7, num_blocks, pooling, initialization,
                         hypernetwork_units=[11], dtype="float64")
    sequences, masks = _inputs()
    target = [normal(4, 6, seed=9)] if pooling == "target" else []
    layer(sequences, masks, *target)
    randomize(layer)
    sources = [*sequences, *target, *layer.trainable_weights]
    assert_equal_with_gradients(
        lambda: layer(sequences, masks, *target),
        lambda: task_interest(layer, sequences, _masks(), *target), sources)
    assert_equal_with_gradients(
        lambda: layer(_ragged(sequences), None, *target),
        lambda: layer(sequences, masks, *target), sources)


def test_candidates_of_a_request_equal_one_request_each():
    layer = TaskInterest(3, 3, 7, pooling="target", dtype="float64")
    sequences, masks = _inputs()
    index, target = tf.constant([0, 0, 2, 3, 3, 3]), normal(6, 6, seed=9)
    layer(sequences, masks, target, index)
    assert_equal_with_gradients(
        lambda: layer(_ragged(sequences), None, target, index),
        lambda: layer([tf.gather(x, index) for x in sequences],
                      [tf.gather(m, index) for m in masks], target),
        [*sequences, target, *layer.trainable_weights])


@pytest.mark.parametrize("pooling", ["mean", "target"])
def test_compiles_under_xla_where_shapes_are_static(pooling):
    layer = TaskInterest(3, 2, 7, num_blocks=2, pooling=pooling)
    sequences, masks = _inputs(tf.float32)
    target = tf.cast(normal(4, 6, seed=9), tf.float32)
    layer(sequences, masks, target)

    def step():
        with tf.GradientTape() as tape:
            interests = layer(sequences, masks, target)
            loss = tf.reduce_sum(tf.sin(interests))
        return interests, tape.gradient(loss, [table_variable(w)
                                               for w in layer.trainable_weights])

    for compiled, eager in zip(*map(tf.nest.flatten, (
            tf.function(step, jit_compile=True, autograph=False)(), step()))):
        np.testing.assert_allclose(compiled, eager, rtol=1e-3, atol=1e-4)


@pytest.fixture(params=["mean", "target"])
def call(request):
    """A layer of 3 tasks as a function of sequences and masks."""
    layer = TaskInterest(3, num_blocks=2, feedforward_units=7, pooling=request.param)
    target = tf.cast(normal(4, 6, seed=9), tf.float32)

    def function(sequences, masks):
        return layer(sequences, masks, target[:sequences[0].shape[0]]).numpy()

    function.layer = layer
    return function


def test_padding_changes_nothing(call):
    sequences, masks = _inputs(tf.float32)
    expected = call(sequences, masks)
    changed = [tf.where(m[:, :, None], x, 1e3) for x, m in zip(sequences, masks)]
    np.testing.assert_array_equal(call(changed, masks), expected)
    padding = [[0, 0], [2, 3], [0, 0]]
    longer = call([tf.pad(x, padding, constant_values=7.0) for x in sequences],
                  [tf.pad(m, padding[:2]) for m in masks])
    np.testing.assert_allclose(longer, expected, rtol=1e-4, atol=1e-5)


def test_rows_do_not_depend_on_the_batch(call):
    sequences, masks = _inputs(tf.float32)
    together = call(sequences, masks)
    alone = call([x[:1] for x in sequences], [m[:1] for m in masks])
    np.testing.assert_allclose(alone, together[:1], rtol=1e-4, atol=1e-5)


def test_permuting_tasks_permutes_outputs(call):
    sequences, masks = _inputs(tf.float32)
    before = call(sequences, masks)
    order = [2, 0, 1]
    for weight in (call.layer.task_embeddings, call.layer.no_history):
        weight.assign(tf.gather(raw(weight), order))
    np.testing.assert_allclose(call(sequences, masks), before[:, order], rtol=1e-4, atol=1e-5)


def test_permuting_behaviors_permutes_outputs(call):
    sequences, masks = _inputs(tf.float32)
    before = call(sequences, masks)
    call.layer.behavior_embeddings.assign(raw(call.layer.behavior_embeddings)[::-1])
    call.layer.no_history.assign(raw(call.layer.no_history)[:, ::-1])
    after = call(sequences[::-1], masks[::-1])
    np.testing.assert_allclose(after, before[:, :, ::-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("length", [0, 3])
def test_empty_sequences_give_the_no_history_vector_and_finite_gradients(pooling, length):
    layer = TaskInterest(3, num_blocks=2, pooling=pooling)
    sequences = [tf.Variable(tf.ones([2, length, 6]))] * 2
    with tf.GradientTape() as tape:
        interests = layer(sequences, [tf.zeros([2, length], tf.bool)] * 2, tf.ones([2, 6]))
    expected = raw(layer.no_history).numpy()
    np.testing.assert_array_equal(interests, [expected, expected])
    gradients = tape.gradient(interests, [*layer.trainable_weights, sequences[0]],
                              unconnected_gradients="zero")
    for weight, gradient in zip(layer.trainable_weights, gradients):
        is_no_history = weight is layer.no_history
        np.testing.assert_array_equal(gradient, np.full(weight.shape, 2.0 * is_no_history))
    assert not np.any(gradients[-1])


def test_one_tasks_loss_leaves_the_others_embedding_and_no_history_alone():
    layer = TaskInterest(3)
    sequences, masks = _inputs(tf.float32)
    layer(sequences, masks)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(sequences, masks)[:, 1] ** 3)
    for gradient in tape.gradient(loss, [layer.task_embeddings, layer.no_history]):
        used = np.abs(tf.convert_to_tensor(gradient).numpy()).reshape(3, -1).any(axis=1)
        assert used.tolist() == [False, True, False]


def test_no_two_tasks_start_equal():
    layer = TaskInterest(3)
    sequences, masks = _inputs(tf.float32)
    interests = layer(sequences, masks).numpy()
    for k in range(3):
        assert np.abs(interests[:, k] - interests[:, k - 1]).max(axis=(0, 2)).min() > 0.1


def test_identity_starts_task_agnostic():
    """All tasks start alike, as one plain Transformer."""
    layer = TaskInterest(3, initialization="identity")
    sequences, masks = _inputs(tf.float32)
    interests = layer([sequences[0]], [masks[0]]).numpy()[[0, 2, 3]]
    np.testing.assert_allclose(interests, np.repeat(interests[:, :1], 3, 1), rtol=1e-5, atol=1e-6)


def test_one_task_is_the_task_agnostic_transformer():
    sequences, masks = _inputs(tf.float32)
    assert TaskInterest(1)(sequences, masks).shape == (4, 1, 2, 6)


def test_dropout_only_in_training():
    layer = TaskInterest(3, dropout=0.5)
    sequences, masks = _inputs(tf.float32)
    np.testing.assert_array_equal(layer(sequences, masks), layer(sequences, masks))
    assert not np.allclose(layer(sequences, masks), layer(sequences, masks, training=True))


def test_one_mask_per_sequence():
    sequences, masks = _inputs(tf.float32)
    text = "There should be one mask per sequence. Received: 2 sequences and 1 masks."
    with pytest.raises(ValueError, match=re.escape(text)):
        TaskInterest(3)(sequences, masks[:1])


def test_target_pooling_needs_a_target():
    sequences, masks = _inputs(tf.float32)
    text = "`target` should be the candidate's embedding, since pooling='target'. Received: None."
    with pytest.raises(ValueError, match=re.escape(text)):
        TaskInterest(3, pooling="target")(sequences, masks)
