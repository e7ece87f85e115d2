import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.optimizers import PairedOptimizer, make_optimizer

keras = tf.keras


def test_unknown_name():
    with pytest.raises(ValueError, match=r"`name` should be one of .*'adam'.*Received: 'sgdd'"):
        make_optimizer("sgdd", 0.1)


@pytest.mark.parametrize("name", ["adam", "adagrad"])
def test_ids_that_occur_twice_are_updated_as_with_a_dense_gradient(name):
    ids = tf.constant([3, 0, 3, 3, 1])
    scale = tf.constant([[1.0], [2.0], [-0.5], [4.0], [0.1]])
    table, reference, weight = (keras.Variable(np.ones((5, 2), np.float32)) for _ in range(3))
    paired = PairedOptimizer(make_optimizer(name, 0.1), make_optimizer(name, 0.1), [table],
                             [weight])
    plain = make_optimizer(name, 0.1)
    plain.build([reference])
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(scale * tf.square(tf.gather(table.value, ids)))
        gradient = tape.gradient(loss, table.value)
        assert isinstance(gradient, tf.IndexedSlices)
        counts = tf.math.unsorted_segment_sum(scale, ids, 5)
        dense = 2.0 * counts * tf.convert_to_tensor(reference)
        paired.apply([gradient, tf.zeros((5, 2))])
        plain.apply_gradients([(dense, reference)])
    np.testing.assert_allclose(table, reference, rtol=1e-5)
    assert not np.allclose(table, 1.0)


def test_tables_and_weights_have_their_own_learning_rate():
    table, weight = keras.Variable([1.0]), keras.Variable([1.0])
    paired = PairedOptimizer(make_optimizer("adam", 0.3), make_optimizer("adam", 0.01), [table],
                             [weight])
    paired.apply([tf.constant([5.0]), tf.constant([5.0])])
    np.testing.assert_allclose([1.0 - float(table[0]), 1.0 - float(weight[0])], [0.3, 0.01],
                               rtol=1e-4)


def test_a_model_without_tables():
    weight = keras.Variable([1.0])
    paired = PairedOptimizer(make_optimizer("adam", 0.3), make_optimizer("adam", 0.5), [], [weight])
    paired.apply([tf.constant([-1.0])])
    np.testing.assert_allclose(weight, [1.5], rtol=1e-4)
