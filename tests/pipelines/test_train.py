"""pipelines.train as users start it: real processes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema, write_records, write_small_data

from dtrn_tf.data.examples import encode_example
from dtrn_tf.training import load_run

pytestmark = pytest.mark.slow
FLAGS = ["--batch_size=4", "--epochs=5", "--eval_every=6", "--shuffle_buffer=30", "--units=5",
         "--num_experts=2", "--refinement_units=3", "--feedforward_units=7", "--checkpoint_every=4",
         "--dropout=0.2", "--seed=3", "--strategy=cpu"]


def _command(data_dir, run_dir, *more):
    return [sys.executable, "-m", "pipelines.train", f"--data_dir={data_dir}",
            f"--run_dir={run_dir}", *FLAGS, *more]


def _train(data_dir, run_dir, *more):
    return subprocess.run(_command(data_dir, run_dir, *more), capture_output=True, text=True)


def _weights(run_dir):
    return load_run(str(run_dir))[0].get_weights()


@pytest.fixture(scope="module")
def run_dir(small_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    done = _train(small_data, path)
    assert done.returncode == 0, done.stderr
    assert "starting" in done.stdout and "python -m pipelines.evaluate --run_dir=" in done.stdout
    return path


def test_the_run_directory_holds_what_was_run_and_what_came_out(run_dir):
    assert {"flags.txt", "schema.yaml", "statistics.json", "versions.json", "vocabularies",
            "metrics.json", "best", "checkpoints", "tensorboard", "weights.tsv"} == set(
                os.listdir(run_dir))
    assert "--seed=3\n" in (run_dir / "flags.txt").read_text()
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["steps"] == 29  # 5 passes over 23 rows, 4 a step
    assert set(metrics["valid"]) == {"click", "order", "long_view", "rating"}
    assert metrics["step"] == metrics["best_step"] and metrics["valid"]["click"]["rows"] == 23


def test_the_same_command_again_has_nothing_to_do(run_dir, small_data):
    before = _weights(run_dir)
    done = _train(small_data, run_dir)
    assert done.returncode == 0 and "is finished" in done.stdout
    for a, b in zip(_weights(run_dir), before):
        np.testing.assert_array_equal(a, b)


def test_a_command_that_cannot_begin_is_no_run(small_data, run_dir, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = _train(small_data, tmp_path, "--num_heads=3")
    assert done.returncode == 1 and "num_heads" in done.stderr
    # So the mended command is not refused as a run with other flags.
    assert not (tmp_path / "flags.txt").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    before = (run_dir / "flags.txt").read_text()
    done = _train(small_data, run_dir, "--num_heads=3")
    assert done.returncode == 1 and "now --num_heads=3" in done.stderr
    assert (run_dir / "flags.txt").read_text() == before


def test_overwrite_begins_anew(small_data, run_dir, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(run_dir, path)
    refused = _train(small_data, path, "--dropout=0.1")
    assert refused.returncode == 1
    assert "a run goes on only with its own flags. Received: was --dropout=0.2; now --dropout=0.1" \
        in refused.stderr
    done = _train(small_data, path, "--dropout=0.1", "--overwrite", "--epochs=1")
    assert done.returncode == 0 and "at step 0" in done.stdout


def _no_data(path):
    shutil.rmtree(path)
    return "should be a readable YAML file"


def _no_split(path):
    shutil.rmtree(path / "valid")
    return "valid: should be a readable directory of record files"


def _empty_split(path):
    for name in os.listdir(path / "train"):
        os.remove(path / "train" / name)
    return "train: should hold at least one *.tfrecord or *.tfrecord.gz file. Received: none"


def _other_schema(path):
    text = (path / "schema.yaml").read_text()
    (path / "schema.yaml").write_text(text.replace("label: is_click", "label: is_clicked"))
    return "'is_clicked'"


def _wrong_type(path):
    text = (path / "schema.yaml").read_text()
    (path / "schema.yaml").write_text(text.replace("label: is_click", "label: age"))
    return "'age'"


def _bad_label(path):
    schema = small_schema()
    write_records(path / "train" / "part-00001-of-00003.tfrecord",
                  [encode_example(small_row(n, is_click=2 if n == 5 else 1), schema)
                   for n in range(8)])
    return "'is_click'"


def _cut_file(path):
    file = path / "train" / "part-00002-of-00003.tfrecord"
    file.write_bytes(file.read_bytes()[:-7])
    return "part-00002-of-00003.tfrecord"


@pytest.mark.parametrize("spoil", [_no_data, _no_split, _empty_split, _other_schema, _wrong_type,
                                   _bad_label, _cut_file])
def test_bad_data_is_one_clear_error_and_nothing_half_written(spoil, tmp_path):
    data = tmp_path / "data"
    write_small_data(data)
    expected = spoil(data)
    done = _train(data, tmp_path / "run")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and expected in lines[0], done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not (tmp_path / "run" / "best").exists()


@pytest.mark.parametrize("flag, text", [
    ("--network=mmmoe", "value should be one of <shared_bottom|separate|"),
    ("--selection_metric=click/aucc", "--selection_metric should be mean_METRIC or TASK/METRIC"),
    ("--units=64,x", "--units should be whole numbers >= 1, separated by commas. Received: 64,x."),
    ("--epochs=0", "--epochs should make at least one step"),
])
def test_bad_flag_values(flag, text, small_data, tmp_path):
    done = _train(small_data, tmp_path / "run", flag)
    assert done.returncode == 1 and text in done.stderr and "Traceback" not in done.stderr


def test_a_batch_that_the_devices_cannot_share():
    script = ("from types import SimpleNamespace\n"
              "from pipelines.training_flags import _per_replica\n"
              "print(_per_replica(8, SimpleNamespace(num_replicas_in_sync=2)))\n"
              "_per_replica(9, SimpleNamespace(num_replicas_in_sync=2))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "4\n"
    assert "--batch_size should be a multiple of the 2 devices. Received: 9." in done.stderr


def test_requests_are_counted_as_records_and_measured_by_candidate(tmp_path):
    data = write_small_data(tmp_path / "data", small_schema(layout="request"))
    done = _train(data, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "12/12" in done.stderr and "examples/s" in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["steps"] == 12  # 5 passes over 10 requests, 4 a step
    assert metrics["valid"]["click"]["rows"] == 23
    # An impression is a request with one candidate.
    impressions = write_small_data(tmp_path / "impressions")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.evaluate", f"--run_dir={tmp_path}/run",
         f"--data_dir={impressions}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "run" / "evaluation" / "test" / "metrics.json"
    assert json.loads(path.read_text())["click"]["rows"] == 23


def test_base_rates_may_be_left_empty(tmp_path):
    data = write_small_data(tmp_path / "data")
    statistics = json.loads((tmp_path / "data" / "statistics.json").read_text())
    (tmp_path / "data" / "statistics.json").write_text(json.dumps({**statistics, "base_rates": {}}))
    assert _train(data, tmp_path / "run", "--epochs=0.5").returncode == 0


def test_gzip_mirrored_and_every_network(tmp_path):
    data = write_small_data(tmp_path / "data", suffix=".tfrecord.gz")
    for number, network in enumerate(("pepnet", "ple")):
        done = _train(data, tmp_path / f"run{number}", f"--network={network}",
                      "--strategy=mirrored", "--interest=shared", "--refinement=element",
                      "--pooling=target", "--epochs=1", "--embedding_weight_decay=0.1",
                      "--embedding_optimizer=rowwise_adagrad")
        assert done.returncode == 0, done.stderr
        model, _, _ = load_run(str(tmp_path / f"run{number}"))
        assert isinstance(model, tf.keras.Model)
