"""The reader on records of requests; `test_reader.py` has what both layouts share."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    small_records, small_request, small_requests, small_row, small_schema, write_records,
    write_small_data,
)

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import explain, list_shards, read_records
from dtrn_tf.data.shards import check_shards
from dtrn_tf.errors import DataError
from dtrn_tf.schema import REQUEST_INDEX

SCHEMA = small_schema(layout="request")
IMPRESSIONS = small_schema()
ROWS, REQUESTS = 23, 10  # as write_small_data writes
# Every fourth request has one candidate, the next two, three, four.
SIZES = list(map(len, small_requests(ROWS)))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("requests"), SCHEMA)


@pytest.fixture(scope="module")
def files(directory):
    return list_shards(directory, "train")


@pytest.fixture(scope="module")
def preprocessing(directory):
    return Preprocessing(SCHEMA, directory)


def _read(files, preprocessing, schema=SCHEMA, **arguments):
    return read_records(files, schema, preprocessing,
                        **{"batch_size": 4, "group": True, **arguments})


def _plain(tensor):
    return tensor.to_list() if isinstance(tensor, tf.RaggedTensor) else tensor.numpy().tolist()


def _rows(dataset):
    """Everything the dataset yields, one dict per candidate, in order."""
    user_side = {f.name for f in SCHEMA.features if f.level == "request"}
    user_side |= {f.name for f in SCHEMA.sequence_features}
    rows = []
    for features, labels, weights in dataset:
        columns = {name: _plain(x) for name, x in features.items()}
        index = columns.pop(REQUEST_INDEX, None)
        if index is not None:
            columns |= {name: [columns[name][i] for i in index] for name in user_side}
        columns |= {f"label {task}": _plain(x) for task, x in labels.items()}
        columns |= {f"weight {task}": _plain(x) for task, x in weights.items()}
        assert len({len(column) for column in columns.values()}) == 1
        rows += [dict(zip(columns, values)) for values in zip(*columns.values())]
    return rows


def test_equals_impressions_that_repeat_the_user_side(tmp_path, files, preprocessing):
    """The group key belongs to the request, so it is that of its first row here."""
    impressions = [
        encode_example({name: small_row(number if name in SCHEMA.candidate_lists else request[0])[
            name] for name in small_row()}, IMPRESSIONS)
        for request in small_requests(ROWS) for number in request]
    path = write_records(tmp_path / "impressions.tfrecord", impressions)
    expected = _rows(_read([path], preprocessing, IMPRESSIONS))
    found = _rows(_read(files, preprocessing))
    # A user here is a request, and its candidates stay together and in order.
    found.sort(key=lambda row: row["user_id"])
    assert len(found) == ROWS
    for row, other in zip(found, expected):
        assert row.pop("duration") == pytest.approx(other.pop("duration"), rel=1e-6)
        assert row == other


def test_a_batch_counts_requests(files, preprocessing):
    dataset = _read(files, preprocessing, batch_size=4)
    sizes = []
    for features, labels, weights in dataset:
        index = features[REQUEST_INDEX].numpy()
        assert index.dtype == np.int32 and np.all(np.diff(index) >= 0)
        assert features["exposed_item"].nrows() == len(features["age"]) == index.max() + 1
        assert features["item"].shape == labels["click"].shape == weights["click"].shape
        sizes += np.bincount(index).tolist()
    assert sorted(sizes) == sorted(SIZES)
    assert [len(features["age"]) for features, *_ in dataset] == [4, 4, 2]


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_one_trace_serves_batches_of_any_number_of_candidates(
        files, preprocessing, drop_remainder):
    dataset = _read(files, preprocessing, batch_size=3, drop_remainder=drop_remainder)
    features, labels, weights = dataset.element_spec
    for spec in (features["item"], features[REQUEST_INDEX], features["user_id"], labels["click"],
                 weights["rating"]):
        assert spec.shape == [None]
    assert features["age"].shape == [3 if drop_remainder else None]
    assert features["exposed_item"].shape == [3 if drop_remainder else None, None]
    traces = []

    @tf.function(input_signature=[dataset.element_spec])
    def rows(batch):
        traces.append(batch)
        return tf.size(batch[1]["click"])

    sizes = [int(rows(batch)) for batch in dataset]
    assert len(set(sizes)) > 1 and len(traces) == 1


def test_what_is_not_asked_for_is_not_there(files, preprocessing):
    features = next(iter(_read(files, preprocessing, labels=False, group=False)))
    assert isinstance(features, dict) and REQUEST_INDEX in features
    assert not set(features) & {"user_id", "is_click", "row_weight"}


def test_shuffling_moves_whole_requests_by_the_seed(files, preprocessing):
    def users(seed):
        return [row["user_id"] for row in _rows(
            _read(files, preprocessing, shuffle_buffer=7, seed=seed))]

    assert users(3) == users(3) != users(5)
    assert sorted(users(3)) == sorted(users(5))
    runs = [len(list(run)) for _, run in itertools.groupby(users(3))]
    assert sorted(runs) == sorted(SIZES)


def test_repeat_counts_every_request(files, preprocessing):
    batches = list(_read(files, preprocessing, repeat=True, shuffle_buffer=7, seed=3,
                         group=False).take(5))
    assert [len(features["age"]) for features, *_ in batches] == [4] * 5
    assert sum(len(labels["click"]) for _, labels, _ in batches) == 2 * ROWS


def test_a_restored_iterator_goes_on_where_it_was(tmp_path, files, preprocessing):
    def iterator():
        return iter(_read(files, preprocessing, repeat=True, shuffle_buffer=7, seed=3))

    first = iterator()
    for _ in range(3):  # into the second epoch
        next(first)
    path = tf.train.Checkpoint(iterator=first).save(tmp_path / "checkpoint")
    fresh = iterator()
    tf.train.Checkpoint(iterator=fresh).restore(path).assert_consumed()
    for _ in range(5):
        assert _rows([next(fresh)]) == _rows([next(first)])


def test_compressed_files_give_the_same(tmp_path, files, preprocessing):
    directory = write_small_data(tmp_path, SCHEMA, suffix=".tfrecord.gz", splits=["train"])
    compressed = list_shards(directory, "train")
    assert (check_shards(compressed, SCHEMA).num_records
            == check_shards(files, SCHEMA).num_records == REQUESTS)
    assert _rows(_read(compressed, preprocessing)) == _rows(_read(files, preprocessing))


def test_impressions_are_requests_of_one_candidate(tmp_path, preprocessing):
    path = write_records(tmp_path / "x.tfrecord", small_records(IMPRESSIONS))
    assert check_shards([path], SCHEMA).num_records == ROWS
    assert _rows(_read([path], preprocessing)) == _rows(_read([path], preprocessing, IMPRESSIONS))


def test_requests_are_no_impressions(files):
    with pytest.raises(DataError, match=r"record 0: feature 'item' should be one 64-bit integer\. "
                                        r"Received: \d values"):
        check_shards(files[1:], IMPRESSIONS)


@pytest.mark.parametrize("name, message, in_batch", [
    ("is_click", r"x\.tfrecord, record 1: the lists of candidates should be of equal length\. "
                 r"Received lengths: \{'item': 3, .*'is_click': 2",
     "the lists of candidates should be as long as 'item' in every record. Received: is_click"),
    ("exposed_item", r"x\.tfrecord, record 1: the sequences of behaviour 'exposed' should be of",
     "should be as long as 'exposed_item' in every record. Received: exposed_author"),
])
def test_lists_of_unequal_length_are_explained(tmp_path, preprocessing, name, message, in_batch):
    example = tf.train.Example.FromString(encode_example(small_request((3, 4, 7)), SCHEMA))
    del example.features.feature[name].int64_list.value[0]
    path = write_records(tmp_path / "x.tfrecord", [encode_example(small_request(), SCHEMA),
                                                   example.SerializeToString()])
    with pytest.raises(tf.errors.OpError) as failure:
        list(_read([path], preprocessing))
    with pytest.raises(DataError, match=message):
        raise explain(failure.value, [path], SCHEMA)
    assert in_batch in str(explain(failure.value, [path]))
