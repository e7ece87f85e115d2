import os

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_schema

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.errors import UserError
from export.sample_records import sample_records
from export.saved_model import FORBIDDEN_OPS, operations, write_saved_model
from export.signatures import build_signatures
from export.verification import dense_request


@pytest.fixture(scope="module")
def path(run, signatures, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("saved") / "model")
    write_saved_model(path, signatures, run[1])
    return path


def test_loaded_signatures_give_the_same_outputs(path, run_dir, signatures):
    schema = small_schema()
    records = tf.constant(sample_records(schema, run_dir, 31))
    raw = parse_examples(records, schema, labels=False)
    dense = {k: tf.constant(v) for k, v in dense_request(raw, schema).items()}
    loaded = tf.saved_model.load(path).signatures
    assert set(loaded) == set(signatures)
    for name, signature in signatures.items():
        inputs = {"examples": records} if name == "examples" else dense
        expected, outputs = signature(**inputs), loaded[name](**inputs)
        assert set(outputs) == set(expected)
        for task, output in outputs.items():
            np.testing.assert_allclose(output, expected[task], rtol=1e-6, atol=1e-6)


def test_every_weight_is_stored_once_and_no_keras_object_is(path, run):
    stored = tf.train.list_variables(os.path.join(path, "variables", "variables"))
    shapes = sorted(shape for name, shape in stored if name.endswith("VARIABLE_VALUE"))
    assert shapes == sorted(list(weight.shape) for weight in run[0].weights)
    assert not os.path.exists(os.path.join(path, "keras_metadata.pb"))
    assert type(tf.saved_model.load(path)).__module__.startswith("tensorflow.")


def test_no_table_is_copied_into_the_graph(path, run):
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        graph = file.read()
    tables = [np.asarray(table) for table in run[0].embedding_tables]
    assert tables and not [table.shape for table in tables if table.tobytes() in graph]
    # What is computed from weights alone is there.
    interest = run[0].interest
    gamma, _ = interest.hypernetwork([tf.convert_to_tensor(interest.task_embeddings),
                                      tf.convert_to_tensor(interest.behavior_embeddings)])
    assert gamma[:, 0, -1].numpy().tobytes() in graph


def test_the_graph_looks_ids_up_and_has_no_forbidden_operation(path):
    found = set(operations(path))
    assert {"LookupTableFindV2", "StringToHashBucketFast", "ParseExampleV2"} <= found
    assert not found & FORBIDDEN_OPS


def with_py_function(inputs):
    return tf.ensure_shape(tf.py_function(lambda x: x, [inputs["age"]], tf.float32), [None])


def with_numpy_function(inputs):
    return tf.ensure_shape(tf.numpy_function(lambda x: x, [inputs["age"]], tf.float32), [None])


def with_file(inputs):
    length = tf.strings.length(tf.io.read_file("/dev/null"))
    return inputs["age"] + tf.cast(length, tf.float32)


def with_print(inputs):
    tf.print("called")
    return inputs["age"] + 0.0


@pytest.mark.parametrize("call, operation", [
    (with_py_function, "EagerPyFunc"), (with_numpy_function, "PyFunc"),
    (with_file, "ReadFile"), (with_print, "PrintV2")])
def test_a_model_with_a_forbidden_operation_is_an_error(run, tmp_path, call, operation):
    def model(inputs, training, tasks):
        return {task: call(inputs) for task in small_schema().task_names}

    signatures = build_signatures(model, run[1], small_schema())
    with pytest.raises(UserError, match=rf"server may run\. Received: \['{operation}'\]\..*Remedy"):
        write_saved_model(str(tmp_path / "model"), signatures, run[1])
