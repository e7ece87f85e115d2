import gzip
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema, write_records, write_small_data

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import explain, list_shards, read_records
from dtrn_tf.data.shards import check_shards
from dtrn_tf.errors import DataError
from dtrn_tf.schema import CategoricalFeature, load_schema

SCHEMA = small_schema()
ROWS = 23  # as write_small_data writes


@pytest.fixture(scope="module")
def preprocessing(small_data):
    return Preprocessing(SCHEMA, small_data)


@pytest.fixture(scope="module")
def files(small_data):
    return list_shards(small_data, "train")


def _users(dataset):
    return [features["user_id"].numpy().tolist() for features, *_ in dataset]


def _rows(dataset):
    """Everything the dataset yields, one flat dict per row, by user id."""
    rows = {}
    for features, labels, weights in dataset:
        lists = {name: x.to_list() if isinstance(x, tf.RaggedTensor) else x.numpy().tolist()
                 for name, x in features.items()}
        lists |= {f"label {task}": x.numpy().tolist() for task, x in labels.items()}
        lists |= {f"weight {task}": x.numpy().tolist() for task, x in weights.items()}
        for values in zip(*lists.values()):
            row = dict(zip(lists, values))
            assert rows.setdefault(row["user_id"], row) is row, "a record came twice"
    return rows


def _write(path, *changes, schema=SCHEMA):
    return write_records(path, [encode_example(small_row(n, **c), schema)
                                for n, c in enumerate(changes)])


def test_every_record_once_with_its_labels_and_weights(files, preprocessing):
    rows = _rows(read_records(files, SCHEMA, preprocessing, batch_size=5, group=True))
    assert sorted(rows) == list(range(ROWS))
    for number, row in rows.items():
        raw = small_row(number)
        assert row["item"] == 2 + number % 5
        assert len(row["exposed_item"]) == min(3, number % 5)
        assert row["label click"] == raw["is_click"]
        assert row["label order"] == float(raw["code"] in (4, 5))
        assert row["label long_view"] == float(raw["play_time"] >= 7.0)
        assert row["label rating"] == raw["stars"] * raw["is_click"]
        assert row["weight click"] == row["weight order"] == raw["row_weight"]
        assert row["weight rating"] == raw["row_weight"] * raw["is_click"]


@pytest.mark.parametrize("shuffle_buffer", [0, 7])
def test_batch_size_changes_nothing(files, preprocessing, shuffle_buffer):
    small, large = (
        _rows(read_records(files, SCHEMA, preprocessing, batch_size=batch_size, group=True,
                           shuffle_buffer=shuffle_buffer, seed=3)) for batch_size in (3, 64))
    assert list(small) == list(large)  # the order too
    for number, row in small.items():
        # Vectorised logarithms differ in the last bit between rows of a batch.
        assert row.pop("duration") == pytest.approx(large[number].pop("duration"), rel=1e-6)
        assert row == large[number]


def test_batch_shapes(files, preprocessing):
    whole = read_records(files, SCHEMA, preprocessing, batch_size=5, group=True)
    assert [len(users) for users in _users(whole)] == [5, 5, 5, 5, 3]
    assert whole.element_spec[0]["item"].shape == [None]
    cut = read_records(files, SCHEMA, preprocessing, batch_size=5, group=True, drop_remainder=True)
    assert [len(users) for users in _users(cut)] == [5, 5, 5, 5]
    assert cut.element_spec[0]["item"].shape == [5]


def test_what_is_not_asked_for_is_not_there(files, preprocessing):
    features = next(iter(read_records(files, SCHEMA, preprocessing, batch_size=5, labels=False)))
    assert isinstance(features, dict) and "user_id" not in features
    assert not set(features) & {"is_click", "row_weight"}


def test_shuffling_is_set_by_the_seed(files, preprocessing):
    def epochs(seed):
        dataset = read_records(files, SCHEMA, preprocessing, batch_size=5, group=True,
                               shuffle_buffer=7, seed=seed)
        return [sum(_users(dataset), []) for _ in range(3)]

    first, again, other = epochs(3), epochs(3), epochs(5)
    assert first == again != other
    assert first[0] != first[1] != first[2]
    assert all(sorted(order) == list(range(ROWS)) for order in first + other)


def test_without_shuffling_the_order_stays(files, preprocessing):
    dataset = read_records(files, SCHEMA, preprocessing, batch_size=5, group=True)
    assert _users(dataset) == _users(dataset)


def test_files_are_shuffled_too(tmp_path, preprocessing):
    files = [_write(tmp_path / f"{n:02d}.tfrecord", {"user_id": n}) for n in range(41)]
    dataset = read_records(files, SCHEMA, preprocessing, batch_size=64, group=True,
                           shuffle_buffer=2, seed=3)
    order = np.array(_users(dataset)[0])
    assert np.abs(order - np.arange(41)).mean() > 5  # a buffer of 2 alone moves records little


def test_files_are_interleaved(tmp_path, preprocessing):
    files = [_write(tmp_path / f"{n}.tfrecord", *[{"user_id": n}] * 37) for n in range(3)]
    dataset = read_records(files, SCHEMA, preprocessing, batch_size=48, group=True)
    assert set(_users(dataset)[0]) == {0, 1, 2}


@pytest.mark.parametrize("shuffle_buffer", [0, 7])
def test_repeat_fills_every_batch_and_counts_every_record(files, preprocessing, shuffle_buffer):
    dataset = read_records(files, SCHEMA, preprocessing, batch_size=5, group=True, repeat=True,
                           shuffle_buffer=shuffle_buffer, seed=3)
    users = _users(dataset.take(2 * ROWS // 5 + 1))
    assert {len(batch) for batch in users} == {5}
    order = sum(users, [])
    epochs = [order[:ROWS], order[ROWS:2 * ROWS]]
    assert all(sorted(epoch) == list(range(ROWS)) for epoch in epochs)
    assert (epochs[0] != epochs[1]) == bool(shuffle_buffer)


def test_compressed_files_give_the_same(tmp_path, files, preprocessing):
    directory = write_small_data(tmp_path, suffix=".tfrecord.gz", splits=["train"])
    compressed = list_shards(directory, "train")
    assert gzip.open(compressed[0]).read(1)
    check_shards(compressed, SCHEMA)
    read = [read_records(f, SCHEMA, preprocessing, batch_size=5, group=True)
            for f in (files, compressed)]
    assert _rows(read[0]) == _rows(read[1])


@pytest.mark.parametrize("shuffle_buffer", [0, 7])
def test_a_restored_iterator_goes_on_where_it_was(tmp_path, files, preprocessing, shuffle_buffer):
    dataset = read_records(files, SCHEMA, preprocessing, batch_size=5, group=True, repeat=True,
                           shuffle_buffer=shuffle_buffer, seed=3)
    iterator = iter(dataset)
    for _ in range(6):  # into the second epoch
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(tmp_path / "checkpoint")
    expected = [next(iterator)[0] for _ in range(7)]
    # As after a new start of the program: everything is made again.
    fresh = iter(read_records(files, SCHEMA, preprocessing, batch_size=5, group=True, repeat=True,
                              shuffle_buffer=shuffle_buffer, seed=3))
    tf.train.Checkpoint(iterator=fresh).restore(path).assert_consumed()
    for features in expected:
        restored = next(fresh)[0]
        for name in ("user_id", "item", "age"):
            np.testing.assert_array_equal(restored[name], features[name])
        assert restored["exposed_item"].to_list() == features["exposed_item"].to_list()


def test_reading_no_files(preprocessing):
    with pytest.raises(DataError, match=r"should start from at least one record file\. "
                                        r"Received: none"):
        read_records([], SCHEMA, preprocessing, batch_size=5)


def test_list_shards_takes_record_files_only(tmp_path):
    names = ["part-00001-of-00002.tfrecord", "part-00000-of-00002.tfrecord", "a.tfrecord.gz",
             "kuairand-train.tfrecord-00000-of-00001"]
    for name in [*names, ".hidden.tfrecord", "_tmp.tfrecord", "x.tfrecord.tmp", "notes.txt"]:
        pathlib.Path(tmp_path, "train").mkdir(exist_ok=True)
        pathlib.Path(tmp_path, "train", name).touch()
    assert list_shards(tmp_path, "train") == [
        os.path.join(tmp_path, "train", name) for name in sorted(names)]


def test_list_shards_missing_directory(tmp_path):
    with pytest.raises(DataError, match=r"train: should be a readable directory of record files\. "
                                        r"Received: No such file.*pipelines\.prepare"):
        list_shards(tmp_path, "train")


def test_list_shards_file_instead_of_directory(tmp_path):
    (tmp_path / "train").touch()
    with pytest.raises(DataError, match=r"readable directory.*Received: Not a directory"):
        list_shards(tmp_path, "train")


def test_list_shards_unreadable_directory(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)  # root may read everything
    with pytest.raises(DataError, match=r"readable directory.*Received: Permission denied"):
        list_shards(tmp_path, "train")


def test_list_shards_empty_split(tmp_path):
    (tmp_path / "valid").mkdir()
    with pytest.raises(DataError, match=r"valid: should hold at least one \*\.tfrecord .*"
                                        r"Received: none \(empty split\)\. Run prepare again"):
        list_shards(tmp_path, "valid")


def test_list_shards_missing_number(tmp_path):
    directory = write_small_data(tmp_path, splits=["train"], shards=5)
    os.remove(f"{directory}/train/part-00003-of-00005.tfrecord")
    with pytest.raises(DataError, match=r"train: should hold all 5 numbered files\. "
                                        r"Missing numbers: \[3\]\. Copy or prepare"):
        list_shards(directory, "train")


def _failure(files, preprocessing, **arguments):
    with pytest.raises(tf.errors.OpError) as failure:
        for _ in read_records(files, SCHEMA, preprocessing, batch_size=5, **arguments):
            pass
    return failure.value


def test_a_label_out_of_range_is_explained(tmp_path, preprocessing, files):
    path = _write(tmp_path / "x.tfrecord", *[{}] * 7, {"is_click": 2}, {})
    error = _failure([*files, path], preprocessing)
    text = r"label feature 'is_click' of task 'click' should be 0 or 1 \(.*\)\. Received: 2"
    explained = explain(error, [*files, path], SCHEMA)
    assert isinstance(explained, DataError)
    assert re.search(rf"x\.tfrecord, record 7: {text}", str(explained))
    without_schema = str(explain(error, [*files, path]))
    assert re.search(rf"should be readable and fit the schema\. Received: {text}", without_schema)
    assert "node" not in without_schema and "\n" not in without_schema


def test_a_failure_inside_a_training_function_is_explained(tmp_path, preprocessing):
    path = _write(tmp_path / "x.tfrecord", {}, {"is_click": 2})
    iterator = iter(read_records([path], SCHEMA, preprocessing, batch_size=1))

    @tf.function(autograph=False)  # AutoGraph cannot read loops under Python 3.13
    def steps():
        def body(step):
            iterator.get_next()
            return step + 1
        return tf.while_loop(lambda step: step < 2, body, [tf.constant(0)])

    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        steps()
    assert "x.tfrecord, record 1: label feature" in str(explain(failure.value, [path], SCHEMA))


def test_a_feature_of_another_type_is_explained(tmp_path, preprocessing):
    features = tuple(f for f in SCHEMA.features if f.name != "tab")
    other = small_schema(features=features + (
        CategoricalFeature(name="tab", vocabulary="city", level="request"),))
    good = _write(tmp_path / "a.tfrecord", {}, {}, {})
    bad = _write(tmp_path / "b.tfrecord", {"tab": "home"}, schema=other)
    error = _failure([good, bad], preprocessing)
    assert re.search(r"b\.tfrecord, record 0: feature 'tab' should be one 64-bit integer "
                     r"\(int64_list\)\. Received: bytes_list",
                     str(explain(error, [good, bad], SCHEMA)))
    assert re.search(r"Received: .*tab.*int64", str(explain(error, [good, bad])))


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_damaged_file_is_explained(tmp_path, preprocessing, files, damage, suffix):
    path = _write(tmp_path / f"x.tfrecord{suffix}", *[{}] * 7)
    content = bytearray(pathlib.Path(path).read_bytes())
    if damage == "cut":
        del content[-20:]
    else:
        content[-20] ^= 0xFF
    pathlib.Path(path).write_bytes(content)
    error = _failure([*files, path], preprocessing)
    text = rf"x\.tfrecord{suffix}, record \d: should .*\. Received: .*\. Remedy: copy the file"
    for schema in (SCHEMA, None):
        assert re.search(text,
                         str(explain(error, [*files, path], schema)))


def test_a_vanished_file_is_explained(tmp_path, preprocessing, files):
    gone = str(tmp_path / "gone.tfrecord")
    error = _failure([*files, gone], preprocessing)
    assert re.search(r"gone\.tfrecord, record 0: .*No such file", str(explain(error, [gone])))


def test_unaligned_sequences_are_explained(tmp_path, preprocessing):
    example = tf.train.Example.FromString(encode_example(small_row(3), SCHEMA))
    del example.features.feature["exposed_item"].int64_list.value[0]
    path = write_records(tmp_path / "x.tfrecord", [encode_example(small_row(0), SCHEMA),
                                                   example.SerializeToString()])
    error = _failure([path], preprocessing)
    assert re.search(r"record 1: the sequences of behaviour 'exposed' should be of equal length",
                     str(explain(error, [path], SCHEMA)))


@pytest.mark.parametrize("error", [
    tf.errors.ResourceExhaustedError(None, None, "out of memory"),
    tf.errors.InvalidArgumentError(None, None, "shapes do not match"),
    tf.errors.DataLossError(None, None, "damaged checkpoint"),
])
def test_other_errors_are_not_blamed_on_the_records(files, error):
    with pytest.raises(type(error), match=error.message):
        explain(error, files, SCHEMA)


def test_the_schema_of_the_directory_reads_it(small_data, files, preprocessing):
    schema = load_schema(f"{small_data}/schema.yaml")
    assert schema == SCHEMA
    assert len(_rows(read_records(files, schema, preprocessing, batch_size=5, group=True))) == ROWS
