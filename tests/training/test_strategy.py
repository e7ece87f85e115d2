import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_schema, write_small_data

from dtrn_tf.errors import UserError
from dtrn_tf.training import make_strategy

SCRIPT = pathlib.Path(__file__).parent / "mirrored_run.py"


def _train(replicas, *arguments):
    done = subprocess.run([sys.executable, str(SCRIPT), str(replicas), *arguments],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def request_data(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data"), small_schema(layout="request"))


@pytest.mark.slow
@pytest.mark.parametrize("layout, optimizer, gradient_method, clip_norm", [
    ("impression", "rowwise_adagrad", "gradvac", "0"), ("request", "lazy_adam", "none", "0.02")])
def test_two_devices_reach_the_weights_of_one_on_the_same_global_batches(
        small_data, request_data, layout, optimizer, gradient_method, clip_norm):
    """Of requests, the devices have unequal numbers of rows, and other numbers in every step."""
    data_dir = small_data if layout == "impression" else request_data
    one, two = (_train(replicas, data_dir, optimizer, gradient_method, clip_norm)
                for replicas in (1, 2))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    # 6 steps of 8 records; the 10 requests have 23 rows.
    assert one["rows"] == two["rows"] and (one["rows"] == 48) == (layout == "impression")
    assert two["traces"] <= 2  # one to see that sizes vary, one for all of them
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two["weights"], one["weights"], atol=2e-4)
    assert np.abs(np.array(one["weights"])).max() > 0.01
    for run in (one, two):
        assert (run["stopped_after"], run["sound"], run["unchanged"]) == (1, False, True)
        assert run["bad_batches"] == run["replicas"]


@pytest.fixture
def tf_config(monkeypatch):
    return lambda text: monkeypatch.setenv("TF_CONFIG", text)


def test_unknown_and_absent_devices():
    with pytest.raises(UserError, match="--strategy should be one of .*'multiworker'.* Received: "
                                        "'tpu'"):
        make_strategy("tpu")
    if not tf.config.list_physical_devices("GPU"):
        with pytest.raises(UserError, match="--strategy=gpu should have a GPU .* Received: none. "
                                            "Remedy: .*--strategy=cpu"):
            make_strategy("gpu")


CLUSTER = '{"cluster": {"worker": ["a:1", "b:1"]%s}, "task": {"type": "worker", "index": %s}}'


@pytest.mark.parametrize("name, text", [
    ("multiworker", ""), ("multiworker", CLUSTER % ("", 2)), ("multiworker", CLUSTER % ("", '"0"')),
    ("auto", CLUSTER % (', "evaluator": ["c:1"]', 0)),
    ("auto", CLUSTER % (', "chief": ["c:1", "d:1"]', 0)),
    ("multiworker", CLUSTER.replace('"type": "worker", ', "") % ("", 0))])
def test_a_cluster_that_does_not_fit(name, text, tf_config):
    tf_config(text)
    with pytest.raises(UserError, match='TF_CONFIG should be like {"cluster": .* Received: '):
        make_strategy(name)


@pytest.mark.parametrize("text", ["{", "[]", '{"cluster": 3}'])
def test_no_cluster_at_all(text, tf_config):
    tf_config(text)
    with pytest.raises(UserError, match="TF_CONFIG should be a JSON object with `cluster` and "
                                        "`task`. Received: "):
        make_strategy("auto")


def test_one_process_of_a_cluster_does_not_train_alone(tf_config):
    tf_config(CLUSTER % ("", 0))
    with pytest.raises(UserError, match="--strategy should be multiworker or auto where TF_CONFIG "
                                        "names 2 processes.* Received: --strategy=cpu. Remedy"):
        make_strategy("cpu")


@pytest.mark.parametrize("name", ["auto", "parameter_server"])
def test_parameter_servers_need_a_chief(name, tf_config):
    tf_config(CLUSTER % (', "ps": ["c:1"]', 0))
    with pytest.raises(UserError, match='TF_CONFIG should be like .*"chief".* for '
                                        "--strategy=parameter_server. Received: "):
        make_strategy(name)
