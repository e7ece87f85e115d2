import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.reference_point import ReferencePoint, make_batch, make_schema, padded
from dtrn_tf.schema import REQUEST_INDEX

POINT = ReferencePoint(num_tasks=2, num_behaviors=3, max_length=50, batch_size=4000)


def lengths(point, seed=0):
    features, *_ = make_batch(point, seed)
    return np.concatenate([features[b.features[0].name].row_lengths().numpy()
                           for b in make_schema(point).behaviors])


@pytest.mark.parametrize("max_length", [20, 50, 100])
def test_a_third_of_the_sequences_is_empty_and_thirty_percent_of_the_positions_filled(max_length):
    found = lengths(dataclasses.replace(POINT, max_length=max_length))
    assert found.min() == 0 and found.max() == max_length
    np.testing.assert_allclose((found == 0).mean(), 1 / 3, atol=0.02)
    np.testing.assert_allclose(found.mean() / max_length, 0.31, atol=0.02)


def test_full_sequences():
    assert set(lengths(dataclasses.replace(POINT, fill="full"))) == {50}


def test_batches_are_like_the_readers():
    features, labels, weights = make_batch(POINT, seed=0)
    schema = make_schema(POINT)
    for feature in schema.id_features:
        values = features[feature.name]
        assert values.dtype == tf.int32
        ids = tf.convert_to_tensor(getattr(values, "flat_values", values))
        assert 2 <= ids.numpy().min()
        assert ids.numpy().max() < schema.vocabulary(feature.vocabulary).num_rows
    for feature in schema.numeric_features:
        assert features[feature.name].dtype == tf.float32
    for behavior in schema.behaviors:
        item, side = (features[f.name] for f in behavior.features)
        np.testing.assert_array_equal(item.row_splits, side.row_splits)
    assert set(labels) == set(weights) == set(schema.task_names)
    assert set(labels["task_0"].numpy()) == {0.0, 1.0}


def test_seeds():
    first, again, other = (make_batch(POINT, seed)[0]["item"].numpy() for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).mean() > 0.9


def test_padding_moves_no_event():
    batch = make_batch(POINT, seed=0)
    dense, ragged = padded(batch, 50)[0]["behavior_1_item"], batch[0]["behavior_1_item"]
    assert dense.shape == (4000, 50)
    np.testing.assert_array_equal(dense.numpy(), ragged.to_tensor(shape=[None, 50]).numpy())


def test_requests():
    features, labels, _ = make_batch(dataclasses.replace(POINT, batch_size=23), 0, candidates=10)
    assert features[REQUEST_INDEX].numpy().tolist() == [0] * 10 + [1] * 10 + [2] * 3
    assert features["city"].shape == features["activity"].shape == (3,)
    assert features["item"].shape == features["price"].shape == labels["task_1"].shape == (23,)
    assert features["behavior_2_item"].shape[0] == 3
