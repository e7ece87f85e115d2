import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema

from dtrn_tf.data.examples import encode_example, parse_examples
from dtrn_tf.errors import UserError
from export import verification
from export.sample_records import sample_records
from export.saved_model import write_saved_model
from export.signatures import build_signatures
from export.verification import dense_request, verify, write_expected


def model(inputs, training, tasks):
    return {task: inputs["age"] + tf.cast(tf.reduce_sum(inputs["liked_item"], axis=1), tf.float32)
            for task in small_schema().task_names}


@pytest.fixture(scope="module")
def exported(run_dir, run, tmp_path_factory):
    """A SavedModel of a formula, and what is expected of it."""
    directory = tmp_path_factory.mktemp("exported")
    schema, preprocessing = small_schema(), run[1]
    records = sample_records(schema, run_dir, 1000)
    saved_model, expected = str(directory / "saved_model"), str(directory / "expected.npz")
    write_saved_model(saved_model, build_signatures(model, preprocessing, schema), preprocessing)
    write_expected(expected, model, preprocessing, schema, records)
    return saved_model, expected


def test_expected_file_holds_every_signature_at_every_batch_size(exported):
    with np.load(exported[1]) as file:
        names = [name.split("/") for name in file.files]
    signatures = {"click", "order", "long_view", "rating", "serving_default", "examples"}
    assert {(batch, signature) for batch, signature, _, _ in names} == {
        (f"{batch} of {size}", signature) for size in (1, 2, 1000) for signature in signatures
        for batch in ("batch", *(["request"] if signature != "examples" else []))}


def test_dense_request_puts_known_ids_behind_the_sequences():
    schema = small_schema()
    records = [encode_example(small_row(number), schema) for number in (0, 2)]
    request = dense_request(
        parse_examples(tf.constant(records), schema, labels=False), schema)
    assert request["exposed_length"].tolist() == [0, 2]
    assert request["exposed_item"].tolist() == [[107, 107, 107], [107, 109, 107]]
    assert request["exposed_author"][0].tolist() == ["žofie".encode()] * 3
    alone = dense_request(parse_examples(tf.constant(records[:1]), schema, labels=False), schema)
    assert alone["exposed_item"].tolist() == [[0]]
    assert alone["exposed_author"].tolist() == [[b""]]


@pytest.mark.slow
def test_verify_gives_the_largest_difference(exported):
    assert 0.0 <= verify(*exported) <= verification.TOLERANCE


def tampered(expected, name, change):
    """A copy of the expected tensors with one changed."""
    path = expected.replace(".npz", "_tampered.npz")
    with np.load(expected) as file:
        tensors = dict(file)
    proto = tf.compat.v1.make_tensor_proto(0.0).FromString(tensors[name].tobytes())
    proto = tf.make_tensor_proto(change(tf.make_ndarray(proto).copy()))
    tensors[name] = np.frombuffer(proto.SerializeToString(), np.uint8)
    np.savez(path, **tensors)
    return path


def last_row_off(values):
    values[-1] += 1e-4
    return values


@pytest.mark.slow
@pytest.mark.parametrize("change, message", [
    (last_row_off, r"batch of 1000, signature order: output order should be the model's within "
                   r"3e-06\. Received: a difference of (0\.0001|1\.0|9\.9)"),
    (lambda values: values * np.nan, r"within 3e-06\. Received: a difference of nan"),
    (lambda values: values[:-1], r"output order should be float32 \(999,\)\. Received: float32 "
                                 r"\(1000,\)"),
])
def test_an_output_that_differs_is_an_error(exported, change, message):
    saved_model, expected = exported
    expected = tampered(expected, "batch of 1000/order/outputs/order", change)
    with pytest.raises(UserError, match=rf"Received: Mismatch: eager loader, .*{message}"):
        verify(saved_model, expected)


@pytest.mark.slow
def test_other_signatures_than_expected_are_an_error(exported):
    saved_model, expected = exported
    with np.load(expected) as file:
        tensors = {name: file[name] for name in file.files if "/order/" not in name}
    path = expected.replace(".npz", "_fewer.npz")
    np.savez(path, **tensors)
    with pytest.raises(UserError, match=r"signatures should be \['click', 'examples', 'long_view'"):
        verify(saved_model, path)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_an_error(exported, tmp_path):
    saved_model, expected = exported
    broken = shutil.copytree(saved_model, tmp_path / "broken")
    shutil.rmtree(broken / "variables")
    os.remove(broken / "saved_model.pb")
    with pytest.raises(UserError, match=r"in a process without this package\. Received: OSError: "
                                        r"SavedModel file does not exist.*Nothing was exported"):
        verify(str(broken), expected)


@pytest.mark.slow
def test_the_script_can_import_neither_the_project_nor_keras(tmp_path):
    code = """
import runpy, sys
script, root = sys.argv[1:]
sys.path.insert(0, root)
sys.argv = [script, "absent", "absent", "1e-6"]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as error:
    assert error.code == 1
for name in ("dtrn_tf", "dtrn_tf.layers", "pipelines", "export", "keras", "tf_keras"):
    try:
        __import__(name)
    except ImportError as error:
        print(name)
"""
    root = os.path.dirname(os.path.dirname(verification._SCRIPT))
    done = subprocess.run([sys.executable, "-I", "-c", code, verification._SCRIPT, root],
                          capture_output=True, text=True, cwd=tmp_path, check=True)
    said, *blocked = done.stdout.splitlines()
    assert said.startswith("FileNotFoundError")
    assert blocked == [
        "dtrn_tf", "dtrn_tf.layers", "pipelines", "export", "keras", "tf_keras"]
