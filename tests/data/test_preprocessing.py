import numpy as np
import pytest
import tensorflow as tf
from helpers import AUTHORS, ITEMS, small_row, small_schema, write_small_data

from dtrn_tf.data.examples import encode_example, parse_examples
from dtrn_tf.data.preparation.buckets import log_bucket
from dtrn_tf.data.preprocessing import Preprocessing, raw_from_dense
from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.errors import DataError
from dtrn_tf.schema import Schema

SCHEMA = small_schema()


@pytest.fixture(scope="module")
def preprocessing(small_data):
    return Preprocessing(SCHEMA, small_data)


def _raw(*rows, **kwargs):
    return parse_examples(tf.constant([encode_example(r, SCHEMA) for r in rows]), SCHEMA, **kwargs)


def _bucket(value, size):
    return int(tf.strings.to_hash_bucket_fast(str(value), size)) + 2


def test_ids_become_rows(preprocessing):
    rows = [small_row(0), small_row(1, item=99, author="zoe", tab=7), small_row(2, tab=-1)]
    inputs = preprocessing(_raw(*rows))
    assert inputs["item"].numpy().tolist() == [2, 1, 4]
    assert inputs["author"].numpy().tolist() == [2, 1, 4]
    assert inputs["tab"].numpy().tolist() == [2, 1, 1]
    assert inputs["city"].numpy().tolist() == [_bucket(r["city"], 11) for r in rows]
    assert inputs["device"].numpy().tolist() == [_bucket(r["device"], 13) for r in rows]
    assert all(inputs[name].dtype == tf.int32 for name in ("item", "city", "device", "tab"))


def test_every_row_of_a_file_vocabulary_is_reached_and_padding_never(preprocessing):
    rows = [small_row(0, item=item, author=AUTHORS[i % 3]) for i, item in enumerate(ITEMS)]
    assert preprocessing(_raw(*rows))["item"].numpy().tolist() == [2, 3, 4, 5, 6]


def test_hash_and_identity_stay_within_the_table(preprocessing):
    rows = [small_row(0, city=f"c{n}", device=n * 10**15 - 7, tab=n - 50) for n in range(101)]
    inputs = preprocessing(_raw(*rows))
    for name, size in (("city", 11), ("device", 13)):
        assert set(inputs[name].numpy()) == set(range(2, size + 2))
    assert set(inputs["tab"].numpy()) == {1, *range(2, 9)}


def test_numbers_are_transformed_and_normalised(preprocessing):
    ages = [30.0, 37.5, float("nan"), float("inf"), 0.0]
    durations = [0.0, -np.expm1(2.0), np.expm1(2.0), float("-inf"), float("nan")]
    rows = [small_row(0, age=a, duration=d) for a, d in zip(ages, durations)]
    inputs = preprocessing(_raw(*rows))
    assert inputs["age"].dtype == tf.float32
    np.testing.assert_allclose(inputs["age"], [0.0, 1.5, 0.0, 0.0, -6.0], rtol=1e-6)
    np.testing.assert_allclose(inputs["duration"], [-3.0, -7.0, 1.0, 0.0, 0.0], rtol=1e-5)


def test_huge_numbers_are_bounded(small_data):
    preprocessing = Preprocessing(small_schema(), small_data)
    inputs = preprocessing(parse_examples(tf.constant([
        encode_example(small_row(1, age=number), small_schema())
        for number in (3e38, -3e38, 4e6, np.inf, np.nan)]), small_schema(), labels=False))
    np.testing.assert_allclose(inputs["age"], [1e6, -1e6, (4e6 - 30) / 5, 0.0, 0.0], rtol=1e-6)


def test_a_number_that_never_varied_is_centred_only(small_data, tmp_path):
    directory = write_small_data(tmp_path, splits=())
    save_statistics(Statistics(numeric={"age": Moments(30.0, 0.0), "duration": Moments(0.0, 1.0)}),
                    tmp_path / "statistics.json")
    inputs = Preprocessing(SCHEMA, directory)(_raw(small_row(0, age=30.0), small_row(0, age=31.0)))
    assert inputs["age"].numpy().tolist() == [0.0, 1.0]


def test_sequences_keep_their_newest_positions_aligned(preprocessing):
    item_rows = {item: row for row, item in enumerate(ITEMS, start=2)}
    author_rows = {author: row for row, author in enumerate(AUTHORS, start=2)}
    # Lengths around the maxima 3 and 2; one unknown id.
    rows = [small_row(0, exposed_item=ITEMS[:n], exposed_author=(AUTHORS * 2)[:n],
                      liked_item=ITEMS[:5 - n]) for n in (0, 2, 3, 5)]
    rows.append(small_row(0, exposed_item=[7, 101], exposed_author=["ann", "x"], liked_item=[]))
    inputs = preprocessing(_raw(*rows))
    assert inputs["exposed_item"].dtype == tf.int32
    assert inputs["exposed_item"].to_list() == [
        [item_rows.get(i, 1) for i in r["exposed_item"][-3:]] for r in rows]
    assert inputs["exposed_author"].to_list() == [
        [author_rows.get(a, 1) for a in r["exposed_author"][-3:]] for r in rows]
    assert inputs["liked_item"].to_list() == [
        [item_rows[i] for i in r["liked_item"][-2:]] for r in rows]
    assert inputs["exposed_item"].row_splits is inputs["exposed_author"].row_splits


@pytest.mark.parametrize("exposed, liked", [
    ([0, 1, 3], [2, 0, 1]),  # nothing to cut
    ([1, 4, 3, 0, 5], [0, 1, 2, 2, 0]),  # one behaviour to cut
    ([2, 0], [5, 3]),
    ([5, 3, 4, 0], [3, 2, 0, 4]),
])
def test_a_batch_is_cut_only_if_a_row_is_too_long(preprocessing, exposed, liked):
    """The same rows come whichever way the graph takes; the maxima are 3 and 2."""
    rows = [small_row(0, exposed_item=ITEMS[:n], exposed_author=(AUTHORS * 2)[:n],
                      liked_item=ITEMS[:m]) for n, m in zip(exposed, liked)]
    for call in (preprocessing, tf.function(preprocessing, autograph=False)):
        inputs = call(_raw(*rows))
        assert inputs["exposed_item"].to_list() == [
            list(range(2, n + 2))[-3:] for n in exposed]
        assert inputs["exposed_author"].to_list() == [
            [2 + i % 3 for i in range(n)][-3:] for n in exposed]
        assert inputs["liked_item"].to_list() == [list(range(2, m + 2))[-2:] for m in liked]


def test_outputs_are_the_inputs_of_the_schema(preprocessing):
    names = {f.name for f in SCHEMA.features} | {f.name for f in SCHEMA.sequence_features}
    assert set(preprocessing(_raw(small_row(3), labels=True))) == names
    with_group = preprocessing(_raw(small_row(3), small_row(5), group=True))
    assert set(with_group) == names | {"user_id"}
    assert with_group["user_id"].numpy().tolist() == [3, 5]


def test_a_row_does_not_depend_on_its_batch(preprocessing):
    together = preprocessing(_raw(*[small_row(n) for n in range(7)]))
    for number in range(7):
        alone = preprocessing(_raw(small_row(number)))
        for name in alone:
            np.testing.assert_array_equal(together[name][number], alone[name][0])


def test_an_empty_batch_passes(preprocessing):
    raw = parse_examples(tf.zeros([0], tf.string), SCHEMA)
    assert all(x.shape[0] == 0 for x in preprocessing(raw).values())


def test_dense_form_gives_the_same_inputs(preprocessing):
    rows = [small_row(n) for n in (3, 0, 4, 7)]
    raw = _raw(*rows, labels=False)
    dense = {name: x.to_tensor() if isinstance(x, tf.RaggedTensor) else x
             for name, x in raw.items()}
    dense["exposed_length"] = raw["exposed_item"].row_lengths()
    dense["liked_length"] = tf.cast(raw["liked_item"].row_lengths(), tf.int32)
    expected, received = preprocessing(raw), preprocessing(raw_from_dense(dense, SCHEMA))
    assert set(expected) == set(received)
    for name, x in expected.items():
        if isinstance(x, tf.RaggedTensor):
            assert received[name].to_list() == x.to_list()
        else:
            np.testing.assert_array_equal(received[name], x)


def test_the_saved_module_holds_its_tables(preprocessing, tmp_path):
    class Served(tf.Module):
        def __init__(self):
            super().__init__()
            self.preprocessing = preprocessing

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def rows(self, serialized):
            inputs = self.preprocessing(parse_examples(serialized, SCHEMA, labels=False))
            return {name: x.to_tensor() if isinstance(x, tf.RaggedTensor) else x
                    for name, x in inputs.items()}

    served = Served()
    serialized = tf.constant([encode_example(small_row(n), SCHEMA) for n in (3, 4)])
    tf.saved_model.save(served, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for name, x in served.rows(serialized).items():
        np.testing.assert_array_equal(loaded.rows(serialized)[name], x)


def test_vocabulary_file_of_another_size(tmp_path):
    directory = write_small_data(tmp_path, splits=())
    write_vocabulary(tmp_path / "vocabularies" / "item.txt", ITEMS[:-1])
    with pytest.raises(DataError, match=r"item\.txt: should hold as many ids as `size` of "
                                        r"vocabulary 'item': 5\. Received: 4\. Correct"):
        Preprocessing(SCHEMA, directory)


def test_vocabulary_file_missing(tmp_path):
    directory = write_small_data(tmp_path, splits=())
    (tmp_path / "vocabularies" / "author.txt").unlink()
    with pytest.raises(DataError, match=r"author\.txt: should be a readable vocabulary file"):
        Preprocessing(SCHEMA, directory)


def test_statistics_of_another_schema(tmp_path):
    directory = write_small_data(tmp_path, splits=())
    save_statistics(Statistics(numeric={"age": Moments(0.0, 1.0)}), tmp_path / "statistics.json")
    with pytest.raises(DataError, match=r"statistics\.json: should hold mean and std of every "
                                        r"numeric feature\. Missing: \['duration'\]\. Prepare"):
        Preprocessing(SCHEMA, directory)


def _parts(**parts):
    return Schema.from_dict({
        "vocabularies": [], "features": [{"name": "x", "level": "request", "dtype": "int64"}],
        "tasks": [{"name": "click", "label": "y"}], **parts})


@pytest.mark.parametrize("resolution", [1.0, 2.5, 0.3])
@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_log_buckets_are_those_of_prepare(dtype, resolution, tmp_path):
    """The values lie around the bounds of buckets, where logarithms round."""
    values = [v + d for v in [0, *(2 ** n - 1 for n in range(1, 50))] for d in (-1, 0, 1)] + [-9]
    if dtype == "float32":
        values = np.float32([*values, 0.1, 0.99, np.nan, np.inf, -np.inf])
    size = min(17, int(63 * resolution))
    schema = _parts(
        vocabularies=[{"name": "v", "kind": "log_bucket", "size": size, "dtype": dtype,
                       "resolution": resolution}],
        features=[{"name": "x", "vocabulary": "v", "level": "request"}])
    rows = Preprocessing(schema, tmp_path)({"x": tf.constant(values, dtype)})["x"]
    assert rows.dtype == tf.int32
    expected = log_bucket(np.where(np.isinf(values), np.nan, values), resolution, size)
    np.testing.assert_array_equal(rows, np.where(expected < 0, 1, expected + 2))


def test_gaps_of_decimal_times(tmp_path):
    schema = _parts(
        vocabularies=[{"name": "item", "kind": "identity", "size": 9},
                      {"name": "gap", "kind": "log_bucket", "size": 5, "dtype": "float32"}],
        behaviors=[{"name": "seen", "max_length": 3, "features": [
            {"name": "seen_item", "vocabulary": "item"},
            {"name": "seen_gap", "vocabulary": "gap", "gap": True}]}],
        time={"name": "now", "dtype": "float32"}, features=[
            {"name": "item", "vocabulary": "item", "level": "request"}])
    lists = tf.RaggedTensor.from_row_lengths(tf.constant([1, 2, 3, 4, 5], tf.int64), [1, 0, 4])
    inputs = Preprocessing(schema, tmp_path)({
        "item": tf.constant([0, 1, 2], tf.int64), "seen_item": lists, "now": tf.constant(
            [3.5, 7.0, 9.0]), "seen_gap": lists.with_values([3.0, 7.0, 9.5, 8.5, np.nan])})
    # Gaps 0.5 | | (2.0 is cut) -0.5, 0.5, NaN: what lies behind the request is no known gap.
    assert inputs["seen_gap"].to_list() == [[2], [], [1, 2, 1]]
    assert inputs["seen_item"].to_list() == [[3], [], [5, 6, 7]]


def test_weights_that_are_not_finite_count_nothing_and_huge_ones_are_bounded(tmp_path):
    schema = _parts(
        vocabularies=[{"name": "tag", "kind": "identity", "size": 9}],
        features=[{"name": "tags", "vocabulary": "tag", "level": "request", "multiple": True,
                   "weights": "w", "padding": 0}])
    ids = tf.RaggedTensor.from_row_lengths(tf.constant([0, 2, 9, 0, 3], tf.int64), [0, 3, 2])
    inputs = Preprocessing(schema, tmp_path)(
        {"tags": ids, "tags_weights": ids.with_values([7.0, np.nan, 1.5, 7.0, -3e38])})
    assert inputs["tags"].to_list() == [[], [4, 1], [5]]
    assert inputs["tags_weights"].to_list() == [[], [0.0, 1.5], [-1e6]]


def test_fields_of_several_numbers(tmp_path):
    schema = _parts(features=[{"name": "v", "level": "request", "size": 3, "transform": "log1p"}])
    save_statistics(Statistics(numeric={"v": Moments((1.0, 0.0, 2.0), (2.0, 0.0, 1.0))}),
                    tmp_path / "statistics.json")
    numbers = np.expm1([[3.0, 1.0, 2.0], [-1.0, np.nan, np.inf]])
    inputs = Preprocessing(schema, tmp_path)({"v": tf.constant(numbers, tf.float32)})
    np.testing.assert_allclose(inputs["v"], [[1, 1, 0], [-0.5 * (np.log1p(1 - np.exp(-1)) + 1), 0,
                                                         0]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("moments, received", [
    (Moments(1.0, 1.0), "1 and 1"), (Moments((1.0,) * 3, (1.0,) * 2), "3 and 2")])
def test_statistics_of_another_size(moments, received, tmp_path):
    save_statistics(Statistics(numeric={"v": moments}), tmp_path / "statistics.json")
    schema = _parts(features=[{"name": "v", "level": "request", "size": 3}])
    with pytest.raises(DataError, match=r"statistics\.json: mean and std of feature 'v' should "
                                        rf"have `size` numbers each: 3\. Received: {received}\."):
        Preprocessing(schema, tmp_path)
