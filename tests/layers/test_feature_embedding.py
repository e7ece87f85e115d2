import re

import numpy as np
import pytest
import tensorflow as tf
from reference import assert_all_different

from dtrn_tf.layers import FeatureEmbedding

TABLE = np.arange(10.0).reshape(5, 2)


def _layer(**kwargs):
    layer = FeatureEmbedding({"item": 5, "tag": 3},
                             {"item": "item", "clicked": "item", "tag": "tag"}, 2, **kwargs)
    layer.build(None)
    layer.set_weights([TABLE, -np.arange(6.0).reshape(3, 2)])
    return layer


def _inputs(item=(2, 3), clicked=((2, 0), (4, 4)), tag=(1, 2)):
    return {"item": tf.constant(item), "clicked": tf.constant(clicked), "tag": tf.constant(tag)}


def test_hand_computed():
    outputs = _layer()(_inputs())
    assert outputs["item"].numpy().tolist() == [[4, 5], [6, 7]]
    assert outputs["clicked"].numpy().tolist() == [[[4, 5], [0, 0]], [[8, 9], [8, 9]]]
    assert outputs["tag"].numpy().tolist() == [[-2, -3], [-4, -5]]


def test_features_of_one_name_share_its_table():
    layer = _layer()
    assert [tuple(w.shape) for w in layer.weights] == [(5, 2), (3, 2)]


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_ids_outside_the_table_are_out_of_vocabulary(dtype):
    items = tf.constant([-1, 5, 1, 2**31 - 1, -2**31], dtype)
    if dtype == tf.int64:  # these would wrap round to rows 0 and 2 in 32 bits
        items = tf.concat([items, tf.constant([2**32, 2**32 + 2], dtype)], 0)
    outputs = _layer()({**_inputs(), "item": items})
    np.testing.assert_array_equal(outputs["item"], [[2, 3]] * len(items))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_gradient_is_sparse_and_misses_padding(policy):
    layer = _layer(dtype=policy)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            outputs = layer(_inputs())
            loss = tf.add_n([tf.reduce_sum(tf.cast(x, tf.float32) * factor)
                             for x, factor in ((outputs["item"], 1.0), (outputs["clicked"], 10.0))])
        return tape.gradient(loss, layer.trainable_weights[:1])

    gradient, = gradients()
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.values.shape == (6, 2)
    expected = np.zeros([5, 2])
    expected[2], expected[3], expected[4] = 11, 1, 20  # item 2 once in each, item 4 clicked twice
    np.testing.assert_array_equal(tf.convert_to_tensor(gradient), expected)


def test_one_gather_per_table():
    layer = _layer()
    graph = tf.function(layer).get_concrete_function(_inputs()).graph
    assert sum("Gather" in op.type for op in graph.get_operations()) == 2


def test_nothing_reaches_the_padding_row():
    layer = _layer()
    with tf.GradientTape() as tape:
        padding = layer(_inputs(clicked=[[0], [0]], item=[0, 0]))["clicked"]
        loss = tf.reduce_sum(padding * np.nan)
    gradient = tape.gradient(loss, layer.trainable_weights[0])
    assert not np.any(tf.convert_to_tensor(gradient))


def test_no_ids_at_all():
    outputs = _layer()(_inputs(clicked=np.zeros([2, 0], np.int32)))
    assert outputs["clicked"].shape == (2, 0, 2)


def test_no_two_rows_start_equal():
    layer = FeatureEmbedding({"a": 7, "b": 7}, {"a": "a", "b": "b"}, 3)
    layer.build(None)
    assert_all_different(*layer.weights)


def test_unknown_table():
    with pytest.raises(ValueError, match=re.escape(
            "`feature_tables` should name tables of ['item']. Received: ['tag'].")):
        FeatureEmbedding({"item": 5}, {"item": "item", "tag": "tag"}, 2)


def test_too_few_rows():
    with pytest.raises(ValueError, match=re.escape(
            "`table_rows['item']` should be a whole number >= 2. Received: 1.")):
        FeatureEmbedding({"item": 1}, {"item": "item"}, 2)


def test_missing_feature():
    inputs = _inputs()
    del inputs["tag"]
    with pytest.raises(ValueError, match=re.escape(
            "The inputs should be the features ['clicked', 'item', 'tag']. "
            "Received: ['clicked', 'item'].")):
        _layer()(inputs)


def test_ids_must_be_whole_numbers():
    with pytest.raises(ValueError, match=re.escape(
            "The ids of feature 'tag' should be whole numbers. Received: float32.")):
        _layer()(_inputs(tag=[1.0, 2.0]))
