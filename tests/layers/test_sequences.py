import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, lay_out, normal

from dtrn_tf.layers.sequences import PackedSequences, tokens_and_sequences

LENGTHS = (5, 0, 1, 3, 0, 7, 2, 2, 4)
MASK = np.arange(7) < np.array(LENGTHS)[:, None]


def _packed():
    return PackedSequences(tf.constant(np.cumsum([0, *LENGTHS])))


def test_groups_hold_every_token_once_and_little_padding():
    tokens = tf.reshape(tf.range(1.0, sum(LENGTHS) + 1), [-1, 1])
    groups = _packed().groups(tokens)
    events = [value for values, mask in groups for value in tf.boolean_mask(values, mask).numpy()]
    assert sorted(np.ravel(events)) == list(range(1, sum(LENGTHS) + 1))
    # Sorted, the lengths that are not 0 make four groups: 1 | 2 2 | 3 4 | 5 7.
    assert [mask.shape[1] for _, mask in groups] == [1, 2, 4, 7]
    assert sum(int(tf.size(mask)) for _, mask in groups) <= 1.3 * sum(LENGTHS)


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_sums_and_groups_equal_a_loop_with_gradients(kind):
    """What lies in the padding of a group reaches no token and no gradient."""
    x = normal(9, 7, 3)

    def sequences():
        tokens, places, events = lay_out(kind, x, LENGTHS)
        groups = [tf.where(mask[..., None], tf.sin(values), 1e3)
                  for values, mask in places.groups(tokens)]
        return tf.concat([places.sum(tokens), events(places.tokens(groups))], 0)

    def loop():
        sums = tf.stack([tf.reduce_sum(x[s, :n], 0) for s, n in enumerate(LENGTHS)])
        return tf.concat([sums, *(tf.sin(x[s, :n]) for s, n in enumerate(LENGTHS))], 0)

    assert_equal_with_gradients(sequences, loop, [x])


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_split_and_join_give_back_all_sequences_but_empty_ones(kind):
    _, places, _ = lay_out(kind, normal(9, 7, 3), LENGTHS)
    values = normal(9, 2)
    kept = np.array(LENGTHS)[:, None] > 0 if kind == "packed" else True
    np.testing.assert_array_equal(places.join(places.split(values)), np.where(kept, values, 0.0))


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_newer_counts_the_events_after_each(kind):
    _, places, events = lay_out(kind, normal(9, 7, 3), LENGTHS)
    assert events(places.newer()).numpy().tolist() == [
        n - 1 - position for n in LENGTHS for position in range(n)]


def test_unpacked_tokens_are_the_ragged_tensor_again():
    ragged = tf.RaggedTensor.from_tensor(normal(9, 7, 3), lengths=LENGTHS)
    tokens, sequences = tokens_and_sequences(ragged, None)
    again = sequences.unpack(tokens)
    np.testing.assert_array_equal(again.values, ragged.values)
    assert again.row_splits.numpy().tolist() == ragged.row_splits.numpy().tolist()
