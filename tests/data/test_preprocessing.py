import numpy as np
import pytest
import tensorflow as tf
from helpers import AUTHORS, ITEMS, small_row, small_schema, write_small_data

from dtrn_tf.data.examples import encode_example, parse_examples
from dtrn_tf.data.preprocessing import Preprocessing, raw_from_dense
from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.errors import DataError

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
