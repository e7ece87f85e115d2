"""--precision, --clip_norm, --deterministic and --watch_every, in real processes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_schema, write_small_data

from dtrn_tf.training import load_run

pytestmark = pytest.mark.slow
FLAGS = ["--batch_size=4", "--epochs=2", "--shuffle_buffer=30", "--units=5", "--num_experts=2",
         "--refinement_units=3", "--feedforward_units=7", "--steps_per_call=4", "--strategy=cpu",
         "--dropout=0.2", "--watch_every=8"]


def _train(data_dir, run_dir, *more):
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}",
         *FLAGS, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def _curves(run_dir):
    """{tag: [(step, value)]}"""
    curves = {}
    for path in (run_dir / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    return curves


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data"), rows=32)


@pytest.fixture(scope="module")
def bfloat16(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "bfloat16"
    _train(data, path, "--precision=mixed_bfloat16", "--deterministic", "--clip_norm=0.5")
    return path


def test_two_deterministic_runs_are_equal_bit_for_bit(bfloat16, data, tmp_path):
    _train(data, tmp_path / "again", "--precision=mixed_bfloat16", "--deterministic",
           "--clip_norm=0.5", "--watch_every=0")
    results = [json.loads((path / "metrics.json").read_text())["valid"]
               for path in (bfloat16, tmp_path / "again")]
    assert results[0] == results[1]
    for one, other in zip(*(load_run(str(path))[0].get_weights()
                            for path in (bfloat16, tmp_path / "again"))):
        np.testing.assert_array_equal(one, other)


def test_a_model_keeps_its_precision(bfloat16):
    model = load_run(str(bfloat16))[0]
    assert model.network.compute_dtype == model.embedding.compute_dtype == "bfloat16"
    assert model.wide.compute_dtype == "float32"
    assert {str(w.dtype) for w in model.weights} == {"float32"}
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_curves_of_every_task(bfloat16):
    curves, tasks = _curves(bfloat16), small_schema().task_names
    for task in tasks:
        for tag in ("train/loss", "train/weight", "train/gradient_norm", "train/gate_entropy/tasks",
                    "valid/calibration"):
            assert all(np.isfinite(value) for _, value in curves[f"{tag}/{task}"]), tag
    assert {step for step, _ in curves["train/gradient_norm/click"]} == {8, 16}
    assert {step for step, _ in curves["train/loss/click"]} == {4, 8, 12, 16}
    pairs = [tag for tag in curves if tag.startswith("train/gradient_cosine/")]
    assert len(pairs) == 6 and all(abs(v) <= 1.001 for tag in pairs for _, v in curves[tag])
    shares = [curves[f"train/expert_share/tasks/{expert}"][0][1] for expert in (0, 1)]
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    assert "train/input_wait_share" not in curves  # deterministic graphs have no clock
    assert all(value > 0 for _, value in curves["train/examples_per_second"])
    assert "valid/auc/click" in curves


def test_float16_lowers_its_scale_until_gradients_fit(data, tmp_path):
    """With a gradient method, whose products of scaled gradients overflow as well."""
    done = _train(data, tmp_path / "run", "--precision=mixed_float16", "--gradient_method=pcgrad",
                  "--network=home")
    assert "weights: table " in done.stdout and ", shared " in done.stdout
    model = load_run(str(tmp_path / "run"))[0]
    assert all(np.isfinite(w).all() for w in model.get_weights())
    curves = _curves(tmp_path / "run")
    assert all(0 <= value <= 1 for _, value in curves["train/input_wait_share"])
    losses = [value for _, value in curves["train/loss/click"]]
    assert np.isfinite(losses).all() and len(set(losses)) == 4
    assert {"train/gate_entropy/groups/0", "train/gate_entropy/tasks/click"} <= set(curves)
