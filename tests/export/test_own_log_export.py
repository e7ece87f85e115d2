"""A log as it is, all the way: records -> training -> .keras -> a verified SavedModel."""

import os

import numpy as np
import pytest
import tensorflow as tf
from own_log import full_record, log_schema, sparse_record, write_log

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.layers import SharedBottom
from dtrn_tf.models import DTRN
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer
from dtrn_tf.schema import Schema
from dtrn_tf.training import TrainStep, load_run, make_strategy
from export.exporter import export_run
from export.model_card import model_card
from export.sample_records import sample_records
from export.dense_inputs import dense_inputs, raw_from_inputs
from export.signatures import build_signatures, signature_functions
from export.verification import dense_request

SCHEMA = log_schema()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run directory whose model was trained on the log."""
    directory = write_log(tmp_path_factory.mktemp("own_log"))
    tf.keras.utils.set_random_seed(1)
    model = DTRN(SCHEMA, network=SharedBottom((8,)), wide=True, embedding_width=4)
    model.build()
    optimizer = PairedOptimizer(
        make_row_optimizer("lazy_adam", 0.05), make_optimizer("adam", 0.02),
        model.embedding_tables, model.dense_weights)
    step = TrainStep(model, optimizer, SCHEMA, make_strategy("cpu"))
    dataset = read_records(list_shards(directory, "train"), SCHEMA,
                           Preprocessing(SCHEMA, directory), batch_size=31, repeat=True)
    batches = iter(dataset)
    first, *_ = step.run(batches, 2)
    step.run(batches, 60)
    last, *_ = step.run(batches, 2)
    assert np.all(last.numpy() < 0.3 * first.numpy()), (first, last)
    os.makedirs(os.path.join(directory, "best"))
    model.save(os.path.join(directory, "best", "model.keras"))
    return directory, model(_inputs(directory))


def _inputs(directory):
    records = tf.constant([full_record(), sparse_record()])
    return Preprocessing(SCHEMA, directory)(parse_examples(records, SCHEMA, labels=False))


def test_a_saved_model_gives_the_same_logits(run_dir):
    directory, logits = run_dir
    model, _, _ = load_run(directory)
    for task, value in model(_inputs(directory)).items():
        np.testing.assert_allclose(value, logits[task], rtol=1e-5)


@pytest.mark.slow
def test_the_log_is_exported_and_served_under_our_names(run_dir, tmp_path):
    directory, logits = run_dir
    exported = export_run(directory, str(tmp_path), "own_log", data_dir=directory)
    assert exported.difference <= 3e-6
    signatures = tf.saved_model.load(exported.path).signatures
    answers = signatures["examples"](tf.constant([full_record(), sparse_record()]))
    for task, value in answers.items():
        np.testing.assert_allclose(value, tf.sigmoid(logits[task]), rtol=1e-4)
    dense = {
        "item": [b"i1", b"i2"], "user": [b"u1", b""], "tags": [[b"t1", b"t2", b"t1"], [b"x"] * 3],
        "tags_weights": [[1.0, 3.0, 0.5], [float("nan")] * 3], "tags_length": [3, 0],
        "user_vector": [np.arange(512.0), np.zeros(512)],
        "counts": [np.arange(512.0, 615.0), np.zeros(103)], "views": [7, 0],
        "clicked_item": [[b"i3", b"i2"], [b"x", b"x"]], "clicked_gap": [[990, 900], [3, 3]],
        "clicked_length": [2, 0], "ordered_item": [[b"i4", b"i5", b"0"], [b"0"] * 3],
        "ordered_length": [3, 3], "carted_item": [[b"i6"], [b""]], "carted_length": [1, 0],
        "now": [1000, 5]}
    specs = dense_inputs(SCHEMA)
    assert set(dense) == set(specs)
    inputs = {name: tf.constant(value, specs[name].dtype) for name, value in dense.items()}
    for task, value in signatures["serving_default"](**inputs).items():
        np.testing.assert_allclose(value, answers[task], rtol=1e-5)


def test_dense_inputs():
    assert {name: (spec.dtype.name, spec.shape.as_list())
            for name, spec in dense_inputs(SCHEMA).items() if name.startswith(
                ("tags", "user", "counts", "views", "clicked", "now"))} == {
        "user": ("string", [None]), "tags": ("string", [None, None]),
        "tags_weights": ("float32", [None, None]), "tags_length": ("int64", [None]),
        "user_vector": ("float32", [None, 512]), "counts": ("float32", [None, 103]),
        "views": ("int64", [None]), "now": ("int64", [None]),
        "clicked_item": ("string", [None, None]), "clicked_gap": ("int64", [None, None]),
        "clicked_length": ("int64", [None])}


def test_the_card_says_where_inputs_come_from():
    lines = model_card(SCHEMA, "ranker", 0.0, 1e-6, (1,)).splitlines()
    for line in (
        "| `item` | string | [B] | id of item, candidate (in Examples: `item-id`) |",
        "| `tags` | string | [B, L] | ids of tag, candidate (in Examples: `616`) |",
        "| `tags_weights` | float32 | [B, L] | weights of `tags` (in Examples: `616-weights`) |",
        "| `counts` | float32 | [R, 103] | numbers, request (in Examples: `dense`[512:615]) |",
        "| `clicked_gap` | int64 | [R, L] | times, newest first, the newest 50 are used (in "
        "Examples: `click-times`) |",
        "| `now` | int64 | [R] | time of the request (in Examples: `request-ts`) |",
        "| `tags_length` | int64 | [B] | valid positions of `tags`, `tags_weights` |",
    ):
        assert line in lines


def test_sample_records_lack_what_may_be_absent(run_dir):
    features = [tf.train.Example.FromString(r).features.feature
                for r in sample_records(SCHEMA, run_dir[0], 200)]
    for f in SCHEMA.record_features:
        present = sum(f.name in feature for feature in features)
        assert present < 200 if f.is_optional and f.role == "input" else present == 200, f.name
    assert all(("616" in f) == ("616-weights" in f) for f in features)
    orders = [value for f in features for value in f["order-list"].bytes_list.value]
    assert 0.1 < orders.count(b"0") / len(orders) < 0.4


REQUESTS = Schema.from_dict({
    "layout": "request",
    "vocabularies": [{"name": "tag", "kind": "identity", "size": 9},
                     {"name": "gap", "kind": "log_bucket", "size": 12}],
    "features": [
        {"name": "image", "level": "candidate", "size": 2, "feature": "dense", "length": 3},
        {"name": "score", "level": "candidate", "feature": "dense", "offset": 2},
        {"name": "user", "level": "request", "size": 4, "dtype": "int64", "default": -1},
        {"name": "tags", "level": "request", "vocabulary": "tag", "multiple": True,
         "weights": "tag-weights", "optional": True, "padding": 3},
        {"name": "words", "level": "request", "vocabulary": "tag", "multiple": True,
         "pooling": "sum"}],
    "behaviors": [
        {"name": behavior, "max_length": 3, "padding": 5, "order": order, "features": [
            {"name": f"{behavior}_tag", "vocabulary": "tag"},
            # One list of the records belongs to both behaviours.
            {"name": f"{behavior}_gap", "vocabulary": "gap", "feature": "times", "gap": True}]}
        for behavior, order in (("seen", "newest_first"), ("done", "newest_last"))],
    "time": {"name": "now"},
    "tasks": [{"name": "click", "label": "y"}, {"name": "stay", "label": "z", "kind": "regression",
                                                "dtype": "float32", "mask": "seen"}]})


def test_requests_with_vectors_and_lists_are_served_alike(tmp_path):
    save_statistics(Statistics(numeric={
        "image": Moments((0.5, 1.0), (2.0, 1.0)), "score": Moments(1.0, 2.0),
        "user": Moments((400.0,) * 4, (300.0,) * 4)}), tmp_path / "statistics.json")
    model = DTRN(REQUESTS, network=SharedBottom((8,)), wide=True)
    model.build()
    random = np.random.default_rng(1)
    model.set_weights([random.normal(0.0, 0.5, size=w.shape) for w in model.get_weights()])
    preprocessing = Preprocessing(REQUESTS, tmp_path)
    records = sample_records(REQUESTS, str(tmp_path), 40)
    raw = parse_examples(tf.constant(records), REQUESTS, labels=False)
    predict = signature_functions(model, preprocessing, REQUESTS)["serving_default"]
    expected = predict(raw)
    dense = dense_request(raw, REQUESTS)
    assert set(dense) == set(dense_inputs(REQUESTS))
    rows = len(dense["score"])
    assert rows > 60 and all(len(value) == rows for value in dense.values())
    served = predict(raw_from_inputs(
        {name: tf.constant(value) for name, value in dense.items()}, REQUESTS))
    for task, value in expected.items():
        np.testing.assert_allclose(served[task], value, rtol=1e-4, atol=1e-6)
        assert np.std(value) > 0.05


def test_weights_of_another_shape_than_their_ids(tmp_path):
    def model(inputs, training, tasks):
        return dict.fromkeys(REQUESTS.task_names, inputs["score"])

    save_statistics(Statistics(numeric={
        "image": Moments((0.0,) * 2, (1.0,) * 2), "score": Moments(0.0, 1.0),
        "user": Moments((0.0,) * 4, (1.0,) * 4)}), tmp_path / "statistics.json")
    preprocessing = Preprocessing(REQUESTS, tmp_path)
    signature = build_signatures(model, preprocessing, REQUESTS)["click"]
    raw = parse_examples(
        tf.constant(sample_records(REQUESTS, str(tmp_path), 3)), REQUESTS, labels=False)
    dense = {k: tf.constant(v) for k, v in dense_request(raw, REQUESTS).items()}
    assert signature(**dense)["click"].shape == dense["score"].shape
    with pytest.raises(tf.errors.InvalidArgumentError,
                       match="input tags_weights should be as wide as tags. Received"):
        signature(**{**dense, "tags_weights": dense["tags_weights"][:, :-1]})
