import numpy as np
import tensorflow as tf
from descent import Descent

from dtrn_tf.optimizers import PairedOptimizer, RowOptimizer, make_optimizer, make_row_optimizer

keras = tf.keras


def _paired(tables, weights, table_rate=0.3, weight_rate=0.01):
    return PairedOptimizer(make_row_optimizer("lazy_adam", table_rate),
                           make_optimizer("adam", weight_rate), tables, weights)


def test_tables_and_weights_have_their_own_learning_rate():
    table, weight = keras.Variable([[0.0], [1.0]]), keras.Variable([1.0])
    gradient = tf.IndexedSlices(tf.constant([[5.0]]), tf.constant([1]))
    _paired([table], [weight]).apply([gradient, tf.constant([5.0])])
    np.testing.assert_allclose([1.0 - float(table[1, 0]), 1.0 - float(weight[0])], [0.3, 0.01],
                               rtol=1e-4)


def test_a_model_without_tables():
    weight = keras.Variable([1.0])
    _paired([], [weight], weight_rate=0.5).apply([tf.constant([-1.0])])
    np.testing.assert_allclose(weight, [1.5], rtol=1e-4)


def test_variables_that_the_loss_does_not_depend_on():
    table, weight = keras.Variable([[1.0], [1.0]]), keras.Variable([1.0])
    paired = _paired([table], [weight], weight_rate=0.1)
    paired.apply([None, tf.constant([1.0])])
    # A dense weight goes on by momentum, as with a gradient of zero: 0.9 of m, 0.999 of v.
    paired.apply([None, None])
    second = 0.1 * (0.9 * 0.1 / 0.19) / np.sqrt(0.999 * 0.001 / (1 - 0.999 ** 2))
    np.testing.assert_allclose(float(weight[0]), 0.9 - second, rtol=1e-4)
    np.testing.assert_array_equal(table, [[1.0], [1.0]])


def test_gradients_of_its_targets():
    table, weight = keras.Variable([[1.0], [2.0], [3.0]]), keras.Variable([4.0])
    paired = _paired([table], [weight])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(paired.targets[0], [2, 2]) * weight)
    rows, dense = tape.gradient(loss, paired.targets)
    assert isinstance(rows, tf.IndexedSlices)
    np.testing.assert_array_equal(rows.values, [[4.0], [4.0]])
    np.testing.assert_array_equal(dense, [6.0])


def test_clipping_by_the_norm_of_the_dense_gradient():
    """|g| = |(3, 4, 12)| = 13, so that clip_norm=6.5 halves everything, tables too."""
    for clip_norm, factor in ((6.5, 0.5), (13.5, 1.0)):
        table = keras.Variable([[0.0], [1.0]])
        weights = [keras.Variable([1.0, 1.0]), keras.Variable(1.0)]
        paired = PairedOptimizer(RowOptimizer(Descent(), 0.1), keras.optimizers.SGD(0.1), [table],
                                 weights, clip_norm=clip_norm)
        rows = tf.IndexedSlices(tf.constant([[50.0], [30.0]]), tf.constant([1, 1]))
        paired.apply([rows, tf.constant([3.0, -4.0]), tf.constant(12.0)])
        np.testing.assert_allclose(table[1, 0], 1.0 - 8.0 * factor, rtol=1e-6)
        np.testing.assert_allclose(weights[0], [1 - 0.3 * factor, 1 + 0.4 * factor], rtol=1e-6)
        np.testing.assert_allclose(weights[1], 1 - 1.2 * factor, rtol=1e-5)
