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


def _pooling_layer(how, weighted=False, **kwargs):
    layer = FeatureEmbedding({"tag": 5}, {"tag": "tag", "tags": "tag"}, 2, pooling={"tags": how},
                             weights={"tags": "shares"} if weighted else {}, **kwargs)
    layer.build(None)
    layer.set_weights([TABLE])
    return layer


LISTS = [[2, 4, 2], [], [3]]
# Rows 2, 3 and 4 of the table are [4, 5], [6, 7], [8, 9].
POOLED = {
    ("sum", False): [[16, 19], [0, 0], [6, 7]],
    ("mean", False): [[16 / 3, 19 / 3], [0, 0], [6, 7]],
    # Weights 1, 3, -1 and 0.5: the mean is over the sum of their sizes, so it stays bounded.
    ("sum", True): [[4 + 24 - 4, 5 + 27 - 5], [0, 0], [3, 3.5]],
    ("mean", True): [[24 / 5, 27 / 5], [0, 0], [6, 7]],
}


@pytest.mark.parametrize("how, weighted", POOLED)
def test_pooled_by_hand(how, weighted):
    layer = _pooling_layer(how, weighted)
    ragged = {"tag": tf.constant([2, 3, 4]), "tags": tf.ragged.constant(LISTS, dtype=tf.int32)}
    dense = {"tag": ragged["tag"], "tags": tf.constant([[2, 4, 2, 0], [0] * 4, [0, 3, 0, 0]])}
    if weighted:
        ragged["shares"] = tf.ragged.constant([[1.0, 3.0, -1.0], [], [0.5]])
        # Behind padding may stand anything.
        nan = np.nan
        dense["shares"] = tf.constant([[1.0, 3.0, -1.0, nan], [nan] * 4, [nan, 0.5, 7.0, 0.0]])
    for call in (layer, tf.function(layer)):
        for inputs in (ragged, dense):
            outputs = call(inputs)
            np.testing.assert_allclose(outputs["tags"], POOLED[how, weighted], rtol=1e-6)
            assert outputs["tag"].numpy().tolist() == [[4, 5], [6, 7], [8, 9]]
            assert outputs["tags"].shape[-1] == 2


def test_gradient_of_pooled_ids_is_sparse_and_holds_every_occurrence():
    layer = _pooling_layer("mean")
    inputs = {"tag": tf.constant([4]), "tags": tf.ragged.constant([[2, 4, 2]], dtype=tf.int32)}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs)["tags"] * [[3.0, 6.0]])
    gradient = tape.gradient(loss, layer.trainable_weights[0])
    assert isinstance(gradient, tf.IndexedSlices)
    expected = np.zeros([5, 2])
    expected[2], expected[4] = [2, 4], [1, 2]
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, rtol=1e-6)


def test_weights_get_a_gradient():
    shares = tf.Variable([1.0, 3.0])
    layer = _pooling_layer("sum", weighted=True)
    with tf.GradientTape() as tape:
        outputs = layer({"tag": tf.constant([4]),
                         "tags": tf.RaggedTensor.from_row_lengths([2, 3], [2]),
                         "shares": tf.RaggedTensor.from_row_lengths(shares, [2])})
        loss = tf.reduce_sum(outputs["tags"])
    np.testing.assert_allclose(tape.gradient(loss, shares), [9, 13])


def test_many_ids_are_pooled_in_float32():
    layer = _pooling_layer("sum", dtype="mixed_bfloat16")
    layer.set_weights([np.full([5, 2], 1.0)])
    outputs = layer({"tag": tf.constant([2]), "tags": tf.fill([1, 999], 2)})
    assert outputs["tags"].dtype == tf.bfloat16
    assert abs(float(outputs["tags"][0, 0]) - 999) <= 4  # bfloat16 stops counting at 256


@pytest.mark.parametrize("arguments, message", [
    ({"pooling": {"tag": "max"}},
     "`pooling['tag']` should be one of ['mean', 'sum']. Received: 'max'."),
    ({"pooling": {"tags": "sum"}},
     "`pooling` should be of features among ['tag']. Received: ['tags']."),
    ({"weights": {"tag": "shares"}},
     "`weights` should be of features among []. Received: ['tag']."),
])
def test_pooling_arguments(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FeatureEmbedding({"tag": 5}, {"tag": "tag"}, 2, **arguments)


def test_missing_weights():
    with pytest.raises(ValueError, match=re.escape(
            "The inputs should be the features ['shares', 'tag', 'tags']. "
            "Received: ['tag', 'tags'].")):
        _pooling_layer("sum", weighted=True)(
            {"tag": tf.constant([2]), "tags": tf.constant([[2]])})
