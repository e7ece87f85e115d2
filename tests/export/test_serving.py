"""One exported model behind servers and in a C program: clients, warm-up, errors."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import urllib.parse

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema
from test_request import features

from dtrn_tf.data.examples import encode_example, parse_examples
from export.grpc_transport import GrpcTransport
from export.request import row_inputs
from export.rest_transport import RestTransport
from export.sample_records import sample_records
from export.sample_request import sample_request
from export.saved_model import write_saved_model
from export.serving_client import ServingClient
from export.serving_error import ServingError
from export.warm_up import write_warm_up

pytest.importorskip("tensorflow_serving", reason="needs the extra `serving`")
serving_server = pytest.importorskip("serving_server")

SCHEMA = small_schema()
ROWS = [features(number) for number in (3, 8, 5, 14)]
USER = features(3, "request")
CANDIDATES = [features(number, "candidate") for number in (3, 8, 5)]


@pytest.fixture(scope="module")
def path(run, run_dir, signatures, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("exported") / "1")
    write_saved_model(path, signatures, run[1])
    write_warm_up(path, "dtrn", signatures, SCHEMA, sample_records(SCHEMA, run_dir, 150))
    return path


@pytest.fixture(scope="module")
def model(path):
    return serving_server.LoadedModel(path)


@pytest.fixture(scope="module")
def servers(model):
    with serving_server.grpc_server(model) as address, serving_server.rest_server(model) as url:
        yield {"grpc": GrpcTransport(address, 120.0), "rest": RestTransport(url, 120.0),
               "url": url}


@pytest.fixture(params=["grpc", "rest"])
def transport(servers, request):
    return servers[request.param]


@pytest.fixture
def client(transport):
    return ServingClient(transport, SCHEMA, "dtrn")


@pytest.fixture(scope="module")
def expected(run):
    """Probabilities of dicts by the Keras model, without any of the export."""
    model, preprocessing, _ = run

    def predict(rows):
        labels = {"is_click": 0, "code": 0, "play_time": 0.0, "stars": 0.0, "row_weight": 1.0,
                  "user_id": 0}
        assert set(small_row(0)) == {*rows[0], *labels}
        records = tf.constant([encode_example({**labels, **row}, SCHEMA) for row in rows])
        logits = model(preprocessing(parse_examples(records, SCHEMA, labels=False)),
                       training=False)
        return {task.name: (tf.sigmoid(logits[task.name]) if task.kind == "binary"
                            else logits[task.name]).numpy() for task in SCHEMA.tasks}

    return predict


def assert_equal(outputs, expected, tasks=SCHEMA.task_names):
    assert set(outputs) == set(tasks)
    for task in tasks:
        np.testing.assert_allclose(outputs[task], expected[task], rtol=1e-5, atol=1e-6)


def test_rows_by_both_protocols(client, expected):
    outputs = client.predict_rows(ROWS)
    assert_equal(outputs, expected(ROWS))
    assert tuple(outputs) == SCHEMA.task_names


@pytest.mark.parametrize("repeat_user", [False, True])
def test_one_user_with_candidates_by_both_protocols(client, expected, repeat_user):
    outputs = client.predict(USER, CANDIDATES, repeat_user=repeat_user)
    assert_equal(outputs, expected([{**USER, **candidate} for candidate in CANDIDATES]))


@pytest.mark.parametrize("task", SCHEMA.task_names)
def test_one_task_by_both_protocols(client, expected, task):
    assert_equal(client.predict_rows(ROWS, task=task), expected(ROWS), (task,))


def test_a_model_version_or_signature_that_is_not_there(transport):
    for model, version in (("other", None), ("dtrn", 2)):
        with pytest.raises(ServingError, match=f"should serve model '{model}'. Received: .*Servabl"
                                               "e not found.*models.config") as error:
            ServingClient(transport, SCHEMA, model, version).predict_rows(ROWS)
        assert error.value.reason == "not_found"
    assert ServingClient(transport, SCHEMA, "dtrn", 1).predict_rows(ROWS)
    tasks = (*SCHEMA.tasks[:3], type(SCHEMA.tasks[3])(name="dwell", label="play_time",
                                                      dtype="float32", at_least=7.0))
    with pytest.raises(ServingError, match="dwell.*client's schema is that of the ver") as error:
        ServingClient(transport, small_schema(tasks=tasks), "dtrn").predict_rows(ROWS, task="dwell")
    assert error.value.reason == "rejected"


def test_a_schema_that_is_not_the_models(transport):
    schema = small_schema(features=SCHEMA.features[:-1])
    rows = [{name: value for name, value in row.items() if name != "duration"} for row in ROWS]
    with pytest.raises(ServingError, match="should take the request to model 'dtrn'. Received: "):
        ServingClient(transport, schema, "dtrn").predict_rows(rows)


def post(url, body):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)
    connection.request("POST", "/v1/models/dtrn:predict", json.dumps(body))
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_rest_in_row_form(servers, expected):
    """What other clients send; here as the model card shows it."""
    row = {**ROWS[0], "exposed_length": 3, "liked_length": 0, "liked_item": [0, 0, 0]}
    assert len(row["exposed_item"]) == 3
    answer = post(servers["url"], {"instances": [row, row]})
    outputs = {task: [r[task] for r in answer["predictions"]] for task in SCHEMA.task_names}
    assert_equal(outputs, expected([ROWS[0]] * 2))
    one = post(servers["url"], {"signature_name": "click", "instances": [row]})
    np.testing.assert_allclose(one["predictions"], outputs["click"][:1], rtol=1e-6)


def test_the_sample_request_is_one(run_dir, client, expected):
    request = json.loads(json.dumps(sample_request(SCHEMA, sample_records(SCHEMA, run_dir, 9)[2:])))
    assert len(request["candidates"]) == 5
    outputs = client.predict(**request)
    assert_equal(outputs, expected([{**request["user"], **c} for c in request["candidates"]]))


def test_warm_up_calls_every_signature_and_can_be_merged(path, model, signatures):
    from tensorflow_serving.apis import prediction_log_pb2
    file = os.path.join(path, "assets.extra", "tf_serving_warmup_requests")
    requests = [prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
                for record in tf.data.TFRecordDataset(file)]
    called = [(request.model_spec.signature_name, size) for request in requests
              for size in {value.tensor_shape.dim[0].size for value in request.inputs.values()}]
    assert sorted(called) == sorted((name, size) for name in signatures for size in (1, 100))
    for request, (name, size) in zip(requests, called):
        outputs = model.predict(model.signature("dtrn", None, name), {
            key: tf.make_ndarray(value) for key, value in request.inputs.items()})
        assert request.model_spec.name == "dtrn"
        assert {len(output) for output in outputs.values()} == {size}
        assert all(np.isfinite(output).all() for output in outputs.values())


def test_warm_up_without_the_extra(signatures, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    assert write_warm_up(str(tmp_path), "dtrn", signatures, SCHEMA, []) == 0
    assert not os.listdir(tmp_path)


def compiled(directory):
    """The C program, linked against the libraries of the pip package."""
    libraries = os.path.dirname(tf.__file__)
    program = str(directory / "call_saved_model")
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program,
         os.path.join(os.path.dirname(__file__), "call_saved_model.c"),
         f"-I{libraries}/include", f"{libraries}/libtensorflow_cc.so.2",
         f"{libraries}/libtensorflow_framework.so.2", f"-Wl,-rpath,{libraries}"],
        check=True, capture_output=True, text=True)
    return program


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_c_program_gets_the_same_numbers(path, model, expected, tmp_path):
    program = compiled(tmp_path)
    signature = model.signatures["serving_default"]
    arguments, values = [], []
    for key, column in row_inputs(SCHEMA, ROWS).items():
        shape = "x".join(map(str, np.shape(column.rows)))
        arguments.append(f"{column.dtype[0]}:{signature.inputs[key].name}:{shape}")
        values += np.array(column.rows, object).reshape(-1).tolist()
    tasks = sorted(signature.outputs)
    outputs = [signature.outputs[task].name for task in tasks]
    done = subprocess.run([program, path, *arguments, "--", *outputs], text=True, timeout=300,
                          input="".join(f"{value}\n" for value in values), capture_output=True)
    assert done.returncode == 0, done.stderr
    found = [[float(x) for x in line.split()] for line in done.stdout.splitlines()]
    assert_equal(dict(zip(tasks, found, strict=True)), expected(ROWS), tasks)
