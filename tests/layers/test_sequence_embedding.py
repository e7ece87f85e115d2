import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, dense, normal, randomize, raw

from dtrn_tf.layers import SequenceEmbedding

POSITIONS = np.array([[100.0], [200.0], [300.0]])


@pytest.fixture
def layer():
    """Tokens are a + 2 b + 5, plus 100 (newest), 200, 300 (third newest and older)."""
    layer = SequenceEmbedding(1, max_length=3)
    layer.build([(None, None, 1), (None, None, 1)])
    values = {(3, 1): POSITIONS, (2, 1): np.array([[1.0], [2.0]]), (1,): np.array([5.0])}
    layer.set_weights([values[w.shape] for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("mask, expected", [
    ([1, 1, 1, 1], [300, 300, 200, 100]),
    ([1, 1, 1, 0], [300, 200, 100, None]),
    ([0, 1, 1, 1], [None, 300, 200, 100]),
    ([1, 0, 1, 0], [200, None, 100, None]),
])
def test_positions_count_from_the_newest_event(layer, mask, expected):
    item, side = np.arange(4.0).reshape(1, 4, 1), np.ones([1, 4, 1])
    tokens = layer([tf.constant(item, tf.float32), tf.constant(side, tf.float32)],
                   event_mask=tf.constant([mask]) > 0).numpy()[0, :, 0]
    assert np.isfinite(tokens).all()
    for i, position in enumerate(expected):
        assert position is None or tokens[i] == i + 2 + 5 + position


def test_equals_a_loop():
    layer = SequenceEmbedding(3, 5, dtype="float64")
    item, side = normal(2, 7, 11), normal(2, 7, 5, seed=1)
    mask = np.arange(7) < np.array([[7], [2]])
    layer([item, side], event_mask=tf.constant(mask))
    randomize(layer)

    def loop():
        return tf.stack([[
            dense(tf.concat([item[b, i], side[b, i]], 0), layer.projection)
            + raw(layer.positions)[min(mask[b, i + 1:].sum(), 4)]
            for i in range(7)] for b in range(2)])

    assert_equal_with_gradients(lambda: layer([item, side], event_mask=tf.constant(mask)), loop,
                                [item, side, *layer.trainable_weights])


def test_longer_padding_changes_no_token(layer):
    item, side = normal(2, 3, 1), normal(2, 3, 1, seed=1)
    item, side = tf.cast(item, tf.float32), tf.cast(side, tf.float32)
    mask = tf.constant([[True, True, True], [True, False, False]])
    padding = [[0, 0], [0, 4], [0, 0]]
    longer = layer([tf.pad(item, padding), tf.pad(side, padding)],
                   event_mask=tf.pad(mask, padding[:2]))
    np.testing.assert_array_equal(longer[:, :3], layer([item, side], event_mask=mask))


def test_no_events_at_all(layer):
    tokens = layer([tf.zeros([2, 0, 1])] * 2, event_mask=tf.zeros([2, 0], tf.bool))
    assert tokens.shape == (2, 0, 1)


def test_ragged_equals_dense():
    layer = SequenceEmbedding(3, 5, dtype="float64")
    item, side, lengths = normal(4, 7, 11), normal(4, 7, 5, seed=1), [7, 0, 2, 1]
    mask = tf.sequence_mask(lengths, 7)
    layer([item, side], event_mask=mask)
    randomize(layer)
    ragged = layer([tf.RaggedTensor.from_tensor(x, lengths=lengths) for x in (item, side)])
    assert ragged.row_lengths().numpy().tolist() == lengths
    dense = layer([item, side], event_mask=mask)
    np.testing.assert_allclose(ragged.values, tf.boolean_mask(dense, mask), rtol=1e-12)


def test_dense_needs_a_mask():
    text = "A dense sequence should come with a mask of its events; a ragged one needs none."
    with pytest.raises(ValueError, match=text):
        SequenceEmbedding(3, 5)([tf.ones([2, 7, 3])])


def test_each_slice_is_a_layer_of_its_own():
    layer = SequenceEmbedding(6, 5, num_slices=2, dtype="float64")
    item, side = normal(2, 7, 8), normal(2, 7, 4, seed=1)
    mask = tf.sequence_mask([7, 2], 7)
    tokens = layer([item, side], event_mask=mask)
    randomize(layer)
    alone = [SequenceEmbedding(3, 5, dtype="float64") for _ in range(2)]
    for number, one in enumerate(alone):
        one.build([(None, None, 4), (None, None, 2)])
        one.projection.set_weights([w[number] for w in layer.projection.get_weights()])
        one.positions.assign(raw(layer.positions)[:, 3 * number:3 * number + 3])

    def separately():
        parts = zip(alone, tf.split(item, 2, axis=-1), tf.split(side, 2, axis=-1))
        return tf.concat([one([x, y], event_mask=mask) for one, x, y in parts], axis=-1)

    assert tokens.shape == (2, 7, 6)
    assert_equal_with_gradients(lambda: layer([item, side], event_mask=mask), separately,
                                [item, side])


def test_slices_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="`num_slices` should divide `width`. Received: 2 and 5."):
        SequenceEmbedding(5, 3, num_slices=2)
