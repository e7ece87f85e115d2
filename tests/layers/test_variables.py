import tensorflow as tf

from dtrn_tf.layers.variables import table_variable


def test_gives_the_variable_of_a_keras_weight():
    layer = tf.keras.layers.Layer()
    weight = layer.add_weight(name="table", shape=(7, 2), initializer="zeros")
    variable = table_variable(weight)
    assert isinstance(variable, tf.Variable)
    variable.assign_add(tf.ones([7, 2]))
    assert layer.get_weights()[0].tolist() == [[1.0, 1.0]] * 7


def test_gather_has_a_sparse_gradient():
    variable = table_variable(tf.keras.layers.Layer().add_weight(
        name="table", shape=(7, 2), initializer="zeros"))
    with tf.GradientTape() as tape:
        rows = tf.gather(variable, [3, 5])
    assert isinstance(tape.gradient(rows, variable), tf.IndexedSlices)
