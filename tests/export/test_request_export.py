"""Export of a model that was trained on records of requests."""

import os
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_schema, write_records
from small_run import write_small_run

from dtrn_tf.data.examples import check_examples, parse_examples
from dtrn_tf.data.reader import read_records
from dtrn_tf.evaluation import predict
from dtrn_tf.schema import REQUEST_INDEX
from dtrn_tf.training.run_directory import load_run
from export.answers import call_signatures
from export.exporter import export_run
from export.model_card import model_card
from export.real_records import real_records
from export.sample_records import sample_records
from export.dense_inputs import dense_inputs
from export.signatures import build_signatures
from export.verification import dense_request

SCHEMA = small_schema(layout="request")
TASKS = SCHEMA.task_names


@pytest.fixture(scope="module")
def request_run(tmp_path_factory):
    return write_small_run(tmp_path_factory.mktemp("run") / "requests", SCHEMA)


@pytest.fixture(scope="module")
def records(request_run):
    return sample_records(SCHEMA, request_run, 97)


def test_sample_records_are_requests_of_one_to_four_candidates(request_run, records):
    for number, record in enumerate(records):
        check_examples(record, SCHEMA, f"record {number}")
    raw = parse_examples(tf.constant(records), SCHEMA, labels=False)
    assert set(np.bincount(raw[REQUEST_INDEX])) == {1, 2, 3, 4}
    assert raw["exposed_item"].row_lengths().numpy()[:2].tolist() == [0, 6]
    assert sample_records(SCHEMA, request_run, 20) == records[:20]


def test_a_dense_request_repeats_the_user_side(records):
    raw = parse_examples(tf.constant(records), SCHEMA, labels=False)
    dense = dense_request(raw, SCHEMA)
    assert set(dense) == set(dense_inputs(SCHEMA)) == set(dense_inputs(small_schema()))
    index = raw[REQUEST_INDEX].numpy()
    assert {len(value) for value in dense.values()} == {len(index)}
    for name, tensor in raw.items():
        if name == "item":
            np.testing.assert_array_equal(dense[name], tensor)
        elif name in ("city", "age"):
            np.testing.assert_array_equal(dense[name], tensor.numpy()[index])
        elif name == "liked_item":
            found = [row[:n].tolist() for row, n in zip(dense[name], dense["liked_length"])]
            assert found == [tensor.to_list()[i] for i in index]


def test_all_signatures_equal_the_training_path_through_records(request_run, records, tmp_path):
    model, preprocessing, schema = load_run(request_run)
    assert schema == SCHEMA
    path = write_records(tmp_path / "test" / "records.tfrecord", records)
    dataset = read_records([path], schema, preprocessing, batch_size=13)
    logits = predict(model, dataset).logits
    expected = {name: logits[name] if name == "rating" else 1 / (1 + np.exp(-logits[name]))
                for name in TASKS}
    answers = call_signatures(build_signatures(model, preprocessing, schema), schema, records)
    assert set(answers) == {*TASKS, "serving_default", "examples"}
    for name, outputs in answers.items():
        assert set(outputs) == ({name} if name in TASKS else set(TASKS))
        for task, output in outputs.items():
            np.testing.assert_allclose(output, expected[task], rtol=1e-5, atol=1e-6)
    assert all(np.std(expected[task]) > 0.01 for task in TASKS)


def test_the_card_says_what_an_example_is():
    cards = [model_card(schema, "ranker", 0.0, 1e-6, (1,)) for schema in (SCHEMA, small_schema())]
    for text in ("string [R], serialized", "An Example is a request with all of its candidates"):
        assert text in cards[0] and text not in cards[1]


@pytest.mark.slow
def test_an_exported_run_is_verified_and_answers_requests(request_run, tmp_path):
    exported = export_run(request_run, str(tmp_path), "dtrn", data_dir=request_run, weights="int8")
    assert exported.difference <= 1e-6  # To the model with rounded weights.
    lines = exported.measured[0].splitlines()
    assert re.fullmatch(r"Weights in int8: [\d,]+ bytes, \d\d% of .* AUC on 10 records:", lines[0])
    assert [line.split()[0] for line in lines[1:]] == ["task", *TASKS[:3]]
    assert exported.path == os.path.join(str(tmp_path), "dtrn", "1")
    loaded = tf.saved_model.load(exported.path)
    requests = real_records(request_run, SCHEMA, 3)
    raw = parse_examples(tf.constant(requests), SCHEMA)
    outputs = loaded.signatures["examples"](examples=tf.constant(requests))
    assert outputs["click"].shape == raw["is_click"].shape and len(raw["is_click"]) > 3
    model, preprocessing, schema = load_run(request_run)
    exact = tf.sigmoid(model(preprocessing(raw), training=False)["click"])
    np.testing.assert_allclose(outputs["click"], exact, atol=0.05)
    stored = {dtype.name for dtype in tf.train.load_checkpoint(
        f"{exported.path}/variables/variables").get_variable_to_dtype_map().values()}
    assert stored >= {"int8", "float32"}
