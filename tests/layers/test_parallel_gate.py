import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, randomize, raw

from dtrn_tf.layers import ParallelGate


@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("activation", ["relu", None])
def test_equals_a_loop(groups, activation):
    layer = ParallelGate(6, 5, 4, activation, dtype="float64")
    x = normal(2, groups, 7)
    layer(x)
    randomize(layer)

    def gate(vector, s):
        hidden = tf.linalg.matvec(raw(layer.hidden.kernel)[s], vector, transpose_a=True)
        hidden += raw(layer.hidden.bias)[s]
        hidden = tf.nn.relu(hidden) if activation else hidden
        outer = tf.linalg.matvec(raw(layer.excitation.kernel)[s], hidden, transpose_a=True)
        return 2 / (1 + tf.exp(-outer - raw(layer.excitation.bias)[s]))

    assert_equal_with_gradients(
        lambda: layer(x),
        lambda: tf.stack([[gate(x[b, s * groups // 6], s) for s in range(6)] for b in range(2)]),
        [x, *layer.trainable_weights])


def test_starts_near_one():
    gates = ParallelGate(3, 50, 32)(tf.random.stateless_normal([100, 1, 40], (1, 2))).numpy()
    assert abs(gates.mean() - 1) < 0.05 and 0 < gates.std() < 0.2
