"""Records that another team's programs wrote, read as they are."""

import numpy as np
import pytest
import tensorflow as tf
from own_log import full_record, log_schema, record, sparse_record, write_log

from dtrn_tf.data.examples import (
    check_examples, encode_example, labels_and_weights, parse_examples,
)
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.data.shards import check_shards
from dtrn_tf.errors import DataError

SCHEMA = log_schema()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("own_log"))


@pytest.fixture(scope="module")
def inputs(data_dir):
    raw = parse_examples(tf.constant([full_record(), sparse_record()]), SCHEMA, group=True)
    return Preprocessing(SCHEMA, data_dir)(raw)


def _bucket(value):
    return int(tf.strings.to_hash_bucket_fast(value, 97)) + 2


def test_raw_features_have_our_names():
    raw = parse_examples(tf.constant([full_record(), sparse_record()]), SCHEMA, group=True)
    assert set(raw) == {
        "item", "user", "tags", "tags_weights", "user_vector", "counts", "views", "clicked_item",
        "clicked_gap", "ordered_item", "carted_item", "now", "label", "user_key"}
    assert raw["user"].numpy().tolist() == raw["user_key"].numpy().tolist() == [b"u1", b""]
    assert raw["user_vector"].shape == [2, 512] and raw["user_vector"][0, 511] == 511.0
    assert raw["counts"].shape == [2, 103] and raw["counts"][0, 0] == 512.0
    assert raw["views"].numpy().tolist() == [7, 0]
    assert raw["label"].numpy().tolist() == [4, 0]
    assert raw["tags"].row_splits is raw["tags_weights"].row_splits
    assert "user_key" not in parse_examples(tf.constant([full_record()]), SCHEMA)


def test_codes_become_labels():
    labels, weights = labels_and_weights(
        parse_examples(tf.constant([full_record(), sparse_record()]), SCHEMA), SCHEMA)
    assert {k: v.numpy().tolist() for k, v in labels.items()} == {"click": [1, 0], "order": [1, 0]}
    assert all(v.numpy().tolist() == [1, 1] for v in weights.values())


def test_ids_and_lists_become_rows(inputs):
    assert inputs["item"].numpy().tolist() == [_bucket(b"i1"), _bucket(b"i2")]
    assert inputs["user"].numpy().tolist() == [_bucket(b"u1"), _bucket(b"")]
    assert inputs["tags"].to_list() == [[_bucket(b"t1"), _bucket(b"t2"), _bucket(b"t1")], []]
    assert inputs["tags_weights"].to_list() == [[1.0, 3.0, 0.5], []]
    assert inputs["tags"].dtype == tf.int32


def test_newest_come_last_and_gaps_are_buckets(inputs):
    assert inputs["clicked_item"].to_list() == [[_bucket(b"i2"), _bucket(b"i3")], []]
    # Gaps 100 and 10: floor(2 log2(101)) = 13, floor(2 log2(11)) = 6, and two reserved rows.
    assert inputs["clicked_gap"].to_list() == [[15, 8], []]
    assert inputs["ordered_item"].to_list() == [[_bucket(b"i5"), _bucket(b"i4")], []]
    assert inputs["carted_item"].to_list() == [[_bucket(b"i6")], []]


def test_vectors_are_normalised_one_by_one(inputs):
    np.testing.assert_array_equal(inputs["user_vector"], [np.arange(512), np.zeros(512)])
    counts = (np.log1p(np.array([np.arange(512, 615), np.zeros(103)])) - 0.5) / 0.25
    np.testing.assert_allclose(inputs["counts"], counts, rtol=1e-5)
    np.testing.assert_allclose(inputs["views"], np.log1p([7, 0]) - 2.0, rtol=1e-6)


def test_newest_first_is_cut_at_its_end(data_dir):
    clicks = [b"i%d" % i for i in range(60)]  # i0 is the newest
    carts = clicks[:12]
    row = record(item_id=b"i", dense=[0.0] * 615, request_ts=100, click_list=clicks,
                 click_times=list(range(100, 40, -1)), cart_list=carts,
                 order_list=[b"0", b"i1", b"0", b"i2"])
    preprocessing = Preprocessing(SCHEMA, data_dir)
    for call in (preprocessing, tf.function(preprocessing, autograph=False)):
        inputs = call(parse_examples(tf.constant([sparse_record(), row]), SCHEMA, labels=False))
        assert inputs["clicked_item"].to_list() == [[], [_bucket(c) for c in clicks[49::-1]]]
        gaps = np.arange(49, -1, -1)
        assert inputs["clicked_gap"].to_list()[1] == (
            2 + np.floor(2 * np.log2(1.0 + gaps))).astype(int).tolist()
        assert inputs["carted_item"].to_list()[1] == [_bucket(c) for c in carts[9::-1]]
        assert inputs["ordered_item"].to_list() == [[], [_bucket(b"i2"), _bucket(b"i1")]]


def test_a_log_is_read_whole(data_dir):
    files = list_shards(data_dir, "train")
    assert check_shards(files, SCHEMA).num_records == 62
    dataset = read_records(files, SCHEMA, Preprocessing(SCHEMA, data_dir), batch_size=16,
                           group=True)
    rows, clicks = 0, 0.0
    for features, labels, _ in dataset:
        rows += len(features["item"])
        clicks += float(tf.reduce_sum(labels["click"]))
        assert features["user_key"].dtype == tf.string
        assert max(features["clicked_item"].row_lengths()) <= 50
    assert rows == 62 and 20 < clicks < 45


def test_encode_writes_the_same_records():
    """The codec of prepare writes what other programs write."""
    row = {"item-id": b"i1", "user-id": b"u1", "616": ["t1", "t2", "t1"],
           "616-weights": [1.0, 3.0, 0.5], "dense": np.arange(615.0), "item-views": 7,
           "request-ts": 1000, "click-list": ["i3", "i2"], "click-times": [990, 900],
           "order-list": ["i4", "i5", *["0"] * 48], "cart-list": ["i6"], "label": 4}
    assert (tf.train.Example.FromString(encode_example(row, SCHEMA))
            == tf.train.Example.FromString(full_record()))
    optional = {f.name for f in SCHEMA.record_features if f.is_optional}
    assert optional == {"user-id", "616", "616-weights", "item-views", "click-list", "click-times",
                        "cart-list", "label"}
    encode_example({name: value for name, value in row.items() if name not in optional}, SCHEMA)


@pytest.mark.parametrize("changes, message", [
    ({"dense": [0.0] * 614}, r"feature 'dense' should be a list of 615 numbers\. Received: 614 "),
    ({"dense": 0.5}, r"feature 'dense' should be a list of 615 numbers\. Received: 1 values"),
    ({"dense": ...}, r"f, record 3: feature 'dense' should be present\. Received: only \['616'"),
    ({"dense": [0] * 615}, r"'dense' should be a list of 615 numbers \(float_list\)\. Received: i"),
    ({"user_id": [b"a", b"b"]}, r"feature 'user-id' should be one string\. Received: 2 values"),
    ({"user_id": 3}, r"feature 'user-id' should be one string \(bytes_list\)\. Received: int64_l"),
    ({"n_616_weights": ...}, r"f, record 3: ids and weights of feature 'tags' should be of equal "
                             r"length\. Received lengths: \{'616': 3, '616-weights': 0\}"),
    ({"click_times": [7]}, r"the sequences of behaviour 'clicked' should be of equal length\. "
                           r"Received lengths: \{'click-list': 2, 'click-times': 1\}"),
    ({"order_list": ...}, r"feature 'order-list' should be present"),
    ({"request_ts": ...}, r"feature 'request-ts' should be present"),
    ({"item_views": 0.5}, r"feature 'item-views' should be one 64-bit integer \(int64_list\)"),
])
def test_check_names_what_is_wrong(changes, message):
    features = dict(
        item_id=b"i1", user_id=b"u1", n_616=[b"t1", b"t2", b"t1"], n_616_weights=[1.0, 3.0, 0.5],
        dense=[0.0] * 615, item_views=7, request_ts=1000, click_list=[b"i3", b"i2"],
        click_times=[990, 900], order_list=[b"i4"], cart_list=[b"i6"], label=4)
    check_examples(record(**features), SCHEMA, "f, record 3")
    changed = record(**{k: v for k, v in {**features, **changes}.items() if v is not ...})
    with pytest.raises(DataError, match=message):
        check_examples(changed, SCHEMA, "f, record 3")
    if changes != {"order_list": ...}:  # TensorFlow reads an absent list as an empty one.
        with pytest.raises(tf.errors.InvalidArgumentError):
            parse_examples(tf.constant([full_record(), changed]), SCHEMA)


def test_a_feature_without_values_kind_is_an_absent_one():
    example = tf.train.Example.FromString(full_record())
    for name in ("user-id", "item-views", "616", "616-weights"):
        example.features.feature[name].Clear()
    check_examples(example.SerializeToString(), SCHEMA, "here")
    raw = parse_examples(tf.constant([example.SerializeToString()]), SCHEMA)
    assert raw["user"].numpy().tolist() == [b""] and raw["views"].numpy().tolist() == [0]
    assert raw["tags"].to_list() == [[]]
