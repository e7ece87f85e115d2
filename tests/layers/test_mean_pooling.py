import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, lay_out, normal

from dtrn_tf.layers.mean_pooling import MeanPooling

LENGTHS = (5, 1, 0, 3)


def test_hand_computed():
    x = tf.constant([[[[1.0], [2.0]], [[3.0], [6.0]], [[50.0], [70.0]]]])
    tokens, sequences, _ = lay_out("padded", x, [2])
    assert MeanPooling()(tokens, sequences=sequences).numpy().tolist() == [[[2.0], [4.0]]]


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_equals_a_loop(kind):
    layer, x = MeanPooling(dtype="float64"), normal(4, 5, 2, 7)

    def pooled():
        tokens, sequences, _ = lay_out(kind, x, LENGTHS)
        return layer(tokens, sequences=sequences)

    def loop():
        return tf.stack([tf.reduce_sum(x[s, :n], 0) / max(n, 1) for s, n in enumerate(LENGTHS)])

    assert_equal_with_gradients(pooled, loop, [x])


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_without_any_token(kind):
    tokens, sequences, _ = lay_out(kind, tf.zeros([2, 0, 1, 5]), [0, 0])
    assert MeanPooling()(tokens, sequences=sequences).numpy().tolist() == [[[0.0] * 5]] * 2
