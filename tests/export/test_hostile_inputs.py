"""What clients may send by mistake: an answer or an error that names the input, never a NaN."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema

from dtrn_tf.data.examples import encode_example, parse_examples
from export.dense_inputs import dense_inputs
from export.sample_records import sample_records
from export.saved_model import write_saved_model
from export.verification import dense_request
from export.verify_saved_model import _load_eager, _load_session

SCHEMA = small_schema()
DENSE = ("click", "serving_default", "bottom")
CANDIDATES = ("item", "author", "duration")


@pytest.fixture(scope="module")
def path(run, signatures, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("hostile") / "model")
    write_saved_model(path, signatures, run[1])
    return path


@pytest.fixture(scope="module", params=[_load_eager, _load_session], ids=["eager", "session"])
def loaded(path, request):
    """What calls a signature, by both loaders."""
    return request.param(path)[1]


@pytest.fixture(scope="module")
def call(loaded):
    """The same with inputs made the types of the signature, and outputs that are finite."""
    specs = dense_inputs(SCHEMA)

    def checked(name, inputs):
        arrays = {key: np.asarray(value, specs[key].dtype.as_numpy_dtype if key in specs else None)
                  for key, value in inputs.items()}
        outputs = loaded(name, arrays)
        for key, value in outputs.items():
            assert np.isfinite(value).all(), (name, key)
        return outputs
    return checked


def rows(count=4, **changes):
    records = [encode_example(small_row(number), SCHEMA) for number in range(1, count + 1)]
    raw = parse_examples(tf.constant(records), SCHEMA, labels=False)
    return {**dense_request(raw, SCHEMA), **changes}


def once(count=4, **changes):
    """One user for all candidates."""
    return {name: value if name in CANDIDATES else value[:1]
            for name, value in rows(count).items()} | changes


@pytest.mark.parametrize("changes", [
    {"age": [np.nan, np.inf, -np.inf, 3e38], "duration": [np.nan, np.inf, -np.inf, -3e38]},
    {"age": [1e30, -1e30, 1e-45, -0.0], "duration": [1e30] * 4},
    {"item": [-1, 2 ** 63 - 1, -2 ** 63, 0], "device": [-2 ** 63, -1, 0, 2 ** 63 - 1],
     "tab": [-1, 2 ** 63 - 1, -2 ** 63, 7], "liked_item": np.full((4, 9), -(2 ** 63))},
    {"author": [b"", b"\xff\x00", "é".encode() * 1000, b"nobody"], "city": [b""] * 4},
    {"liked_length": [0, 0, 0, 0], "exposed_length": [0, 0, 0, 0]},
    {"liked_item": np.zeros((4, 0)), "liked_length": [0] * 4},
    {"liked_item": np.full((4, 5000), 103), "liked_length": [5000, 0, 4999, 1]},
], ids=["not finite", "huge", "ids", "strings", "no history", "no width", "long"])
def test_any_value_has_an_answer(call, changes):
    for name in DENSE:
        outputs = call(name, rows(**changes))
        assert all(len(value) == 4 for value in outputs.values())


def test_numbers_that_are_not_finite_count_as_missing(call):
    mean = call("click", once(age=[30.0]))["click"]
    for number in (np.nan, np.inf, -np.inf):
        np.testing.assert_array_equal(call("click", once(age=[number]))["click"], mean)
    assert np.abs(call("click", once(age=[35.0]))["click"] - mean).max() > 1e-4


def test_batches_of_no_and_of_very_many_rows(call):
    none = {name: value[:0] for name, value in rows().items()}
    no_candidates = {name: value if name not in CANDIDATES else value[:0]
                     for name, value in once().items()}
    for inputs in (none, no_candidates):
        assert call("serving_default", inputs)["rating"].shape == (0,)
    many = {name: np.resize(value, 30_011) if name in CANDIDATES else value
            for name, value in once().items()}
    answers, few = call("click", many)["click"], call("click", once())["click"]
    np.testing.assert_allclose(answers, np.resize(few, 30_011), rtol=1e-5)


@pytest.mark.parametrize("inputs, message", [
    (rows(tab=[1, 2, 3]), "input tab should have as many rows as city. Received:. .3"),
    (rows(liked_length=[1]), "input liked_length should have as many rows as city. Received:. .1"),
    (rows(duration=[1.0]), "input duration should have as many rows as item. Received:. .1"),
    (once(item=[101] * 3, author=["ann"] * 3, duration=[1.0] * 3, **{
        name: value[:2] for name, value in rows().items() if name not in CANDIDATES}),
     "input city, of the request, should have one row or as many as item. Received:. .2"),
    (rows(exposed_author=np.full((4, 9), b"ann", object)),
     "input exposed_author should be as wide as exposed_item. Received:. .9"),
    (rows(liked_length=[0, -1, 0, 0]),
     "input liked_length should be between 0 and the width of liked_item. Received:. .-1"),
    (rows(liked_length=[0, 0, 0, 9]),
     "input liked_length should be between 0 and the width of liked_item. Received:. .9"),
    (once(exposed_length=[99]), "input exposed_length should be between 0 and the width of"),
], ids=["user", "length", "candidate", "R", "width", "negative", "too long", "once"])
def test_a_shape_that_does_not_fit_is_an_error_with_the_inputs_name(call, inputs, message):
    for name in DENSE:
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call(name, inputs)


@pytest.mark.parametrize("make, match", [
    (lambda: {k: v for k, v in rows().items() if k != "age"}, "age"),
    (lambda: rows() | {"age": np.array([b"x"] * 4, object)}, "age|float"),
    (lambda: rows() | {"age": np.zeros((4, 1), np.float32)}, "age|shape"),
    (lambda: rows() | {"liked_item": np.zeros(4, np.int64)}, "liked_item|shape"),
], ids=["missing", "type", "rank 2", "rank 1"])
def test_inputs_that_are_no_inputs(loaded, make, match):
    with pytest.raises(Exception, match=match):
        loaded("click", {name: np.asarray(value) for name, value in make().items()})


def test_an_input_too_many(path):
    # A session looks inputs up by name, so there is nothing to pass it to.
    _, call = _load_eager(path)
    with pytest.raises(TypeError, match="agee"):
        call("click", rows() | {"agee": np.zeros(4, np.float32)})


def test_examples_that_are_none(call):
    good = encode_example(small_row(3), SCHEMA)
    example = tf.train.Example.FromString(good)
    del example.features.feature["age"]
    lacking = example.SerializeToString()
    example.features.feature["age"].bytes_list.value.append(b"old")
    mistyped = example.SerializeToString()
    example = tf.train.Example.FromString(good)
    example.features.feature["exposed_author"].bytes_list.value.append(b"ann")
    uneven = example.SerializeToString()
    for bad, message in ((b"garbage", "Could not parse"), (b"\n\x7fcut", "Could not parse"),
                         (lacking, "age"), (mistyped, "age"), (b"", "required but could not"),
                         (uneven, "exposed_author")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call("examples", {"examples": np.array([good, bad], object)})
    assert call("examples", {"examples": np.array([good], object)})["click"].shape == (1,)
    assert call("examples", {"examples": np.array([], object)})["click"].shape == (0,)


def test_examples_with_any_values(call):
    numbers = (float("nan"), float("inf"), 3e38)
    records = [encode_example(small_row(3, age=n, duration=-n, item=-2 ** 63, author=b"\xff",
                                        liked_item=[-1] * 500), SCHEMA) for n in numbers]
    assert call("examples", {"examples": np.array(records, object)})["rating"].shape == (3,)


def test_calls_at_the_same_time_give_what_single_ones_give(call, run_dir):
    records = np.array(sample_records(SCHEMA, run_dir, 40), object)
    requests = [("serving_default", once(size)) for size in (1, 7, 30)]
    requests += [("order", rows(size)) for size in (2, 11)]
    requests += [("examples", {"examples": records[n:]}) for n in (0, 25)]
    expected = [call(*request) for request in requests]
    wrong = []

    def client(offset):
        for turn in range(12):
            number = (turn + offset) % len(requests)
            for name, value in call(*requests[number]).items():
                if not np.allclose(value, expected[number][name], rtol=1e-5, atol=1e-6):
                    wrong.append((number, name))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
