import numpy as np
import pytest
import tensorflow as tf

from export.folding import MAX_BYTES, fold


def trace(function, **specs):
    return tf.function(function).get_concrete_function(**specs)


def types(function):
    return [op.type for op in function.graph.get_operations()]


def test_only_what_depends_on_weights_alone_and_is_small_becomes_a_constant():
    small, table = tf.Variable([[1.0, 2.0]] * 3), tf.Variable(tf.ones([MAX_BYTES // 4 + 1, 1]))

    def function(*, x):
        assertion = tf.debugging.assert_less(x, 9.0, message="x should be small")
        with tf.control_dependencies([assertion]):
            product = tf.matmul(x, tf.exp(tf.transpose(small)))       # a constant [2, 3]
        return {"product": product, "whole": small + 0.0,
                "large": tf.reduce_sum(x) * tf.square(table), "read": x @ tf.ones([2, 3]) @ small}

    before = trace(function, x=tf.TensorSpec([None, 2], name="x"))
    after = fold(before)
    assert "Exp" in types(before) and "Exp" not in types(after)
    assert "Transpose" not in types(after)
    # What is too large stays an operation, and a weight that is used as it is stays a variable.
    assert types(after).count("Square") == 1
    assert 2 <= types(after).count("ReadVariableOp") < types(before).count("ReadVariableOp")
    constants = {op.outputs[0].shape.num_elements() for op in after.graph.get_operations()
                 if op.type == "Const" and op.outputs[0].dtype == tf.float32}
    assert max(constants) == 6
    assert {id(v) for v in after.variables} == {id(v) for v in before.variables}
    x = tf.constant([[1.0, 3.0], [0.0, 5.0]])
    for name, value in after(x=x).items():
        np.testing.assert_array_equal(value, before(x=x)[name])
    with pytest.raises(tf.errors.InvalidArgumentError, match="x should be small"):
        after(x=x + 9.0)


def test_lookup_tables_and_branches_stay():
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
        tf.constant([7, 8], tf.int64), tf.constant([1.0, 2.0])), 0.0)
    weight = tf.Variable(3.0)

    def function(*, ids):
        factor = tf.cond(tf.size(ids) > 1, lambda: tf.exp(weight), lambda: -weight)
        return {"y": table.lookup(ids) * factor * tf.exp(2.0 * weight)}

    folded = fold(trace(function, ids=tf.TensorSpec([None], tf.int64, name="ids")))
    expected = [np.array([2.0, 0.0]) * np.exp(3.0) * np.exp(6.0), np.array([-3.0 * np.exp(6.0)])]
    for ids, values in zip(([8, 9], [7]), expected):
        np.testing.assert_allclose(folded(ids=tf.constant(ids, tf.int64))["y"], values, rtol=1e-5)


def test_the_signatures_hold_the_hypernetwork_as_constants(signatures, run):
    model, _, _ = run
    gamma, beta = model.interest.hypernetwork([
        tf.convert_to_tensor(model.interest.task_embeddings),
        tf.convert_to_tensor(model.interest.behavior_embeddings)])
    operations = signatures["serving_default"].graph.get_operations()
    assert not [op.name for op in operations if "hypernetwork" in op.name]
    constants = [tf.make_ndarray(op.get_attr("value")).tobytes() for op in operations
                 if op.type == "Const" and op.outputs[0].dtype == tf.float32]
    for t in range(2):  # the last normalization's, of each behaviour
        for part in (gamma, beta):
            assert part[:, t, -1].numpy().tobytes() in constants
