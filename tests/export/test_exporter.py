import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema, write_records
from scores import Scores

from dtrn_tf.data.examples import encode_example
from dtrn_tf.errors import UserError
from export import exporter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def start(*flags, module="export"):
    return subprocess.Popen([sys.executable, "-m", module, *flags], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    out, err = process.communicate(timeout=900)
    return process.returncode, out, err


def test_verification_records_are_real_ones_first_then_made_up(run_dir):
    records = exporter.verification_records(small_schema(), run_dir, run_dir)
    assert len(records) == 1000
    real = [encode_example(small_row(number), small_schema()) for number in range(23)]
    assert sorted(records[:23]) == sorted(real)
    assert len(set(records[23:])) == 977


def test_verification_records_keep_room_for_made_up_ones(run_dir, tmp_path):
    write_records(tmp_path / "test" / "records.tfrecord.gz",
                  [encode_example(small_row(1), small_schema())] * 900)
    records = exporter.verification_records(small_schema(), run_dir, str(tmp_path))
    assert len(records) == 1000 and len(set(records[:800])) == 1 and len(set(records)) == 201


def test_a_run_that_is_not_there_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="--run_dir should be a directory that pipelines.train"):
        exporter.export_run(str(tmp_path / "absent"), str(tmp_path / "models"), "dtrn")
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_a_model_that_fails_the_verification_leaves_nothing(run_dir, run, tmp_path, monkeypatch):
    def random_model(inputs, training, tasks):
        return {task: tf.random.uniform(tf.shape(inputs["age"]))
                for task in small_schema().task_names}

    monkeypatch.setattr(exporter, "load_run", lambda path: (random_model, run[1], run[2]))
    with pytest.raises(UserError, match="should give the outputs of the Keras model in a process"):
        exporter.export_run(run_dir, str(tmp_path), "dtrn")
    assert os.listdir(tmp_path / "dtrn") == [".lock"]


def test_a_model_that_may_not_pass_the_gate_leaves_nothing(
        run_dir, tmp_path, monkeypatch):
    scores = Scores(small_schema().task_names, 1.0)
    monkeypatch.setattr(exporter, "load_run", lambda _: (None, scores, small_schema()))
    monkeypatch.setattr(exporter, "build_signatures", lambda *_: {
        name: scores.examples.get_concrete_function() for name in ("examples", "bottom")})
    monkeypatch.setattr(exporter, "write_expected", lambda *_: None)
    monkeypatch.setattr(exporter, "verify", lambda *_: 0.0)
    monkeypatch.setattr(exporter, "write_warm_up", lambda *_: 0)
    monkeypatch.setattr(exporter, "model_card", lambda *_: "")
    with pytest.raises(UserError, match="should pass the gate. click: AUC should be at least 1"):
        exporter.export_run(run_dir, str(tmp_path), "dtrn", data_dir=run_dir,
                            gate=exporter.Gate(min_auc={"click": 1.0, "order": 0.0}))
    assert os.listdir(tmp_path / "dtrn") == [".lock"]

    for version in (1, 2, 3):
        os.makedirs(tmp_path / "dtrn" / str(version))
    exported = exporter.export_run(run_dir, str(tmp_path), "dtrn", keep_versions=2)
    assert exported.removed == (f"{tmp_path}/dtrn/1", f"{tmp_path}/dtrn/2")
    assert sorted(os.listdir(tmp_path / "dtrn")) == [".lock", "3", "4"]


@pytest.mark.slow
def test_a_killed_export_shows_nothing_and_the_next_one_is_version_1(run_dir, run, tmp_path):
    flags = (f"--run_dir={run_dir}", f"--export_dir={tmp_path}", "--model_name=dtrn",
             f"--data_dir={run_dir}")
    directory = tmp_path / "dtrn"
    killed = start(*flags)
    # The model is written, but not yet verified.
    while not list(directory.glob(".incomplete-*/expected.npz")):
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert finish(killed)[0] == -signal.SIGKILL
    assert not [path for path in directory.iterdir() if path.name.isdecimal()]

    code, out, err = finish(start(*flags, "--min_auc=click=0.01", "--max_auc_drop=0.5"))
    assert code == 0, err
    assert out.splitlines()[:2] == [
        f"Exported {directory}/1",
        "Signatures: click, order, long_view, rating, serving_default, bottom, examples"]
    assert "Verified at batch sizes 1, 2, 1000: largest difference" in out
    assert "AUC on 23 test records:\ntask       new AUC  present AUC  difference\nclick" in out
    assert sorted(os.listdir(directory)) == [".lock", "1"]
    assert "## Measured at export" in (directory / "1" / "assets.extra" / "README.md").read_text()
    assert "Warm-up requests: 1" in out
    assert "retracing" not in err
    assert {"README.md", "request.json", "schema.yaml", "statistics.json",
            "tf_serving_warmup_requests"} <= set(
        os.listdir(directory / "1" / "assets.extra"))
    records = [encode_example(small_row(number), small_schema()) for number in range(5)]
    loaded = tf.saved_model.load(str(directory / "1"))
    outputs = loaded.signatures["examples"](examples=tf.constant(records))
    from export.signatures import build_signatures
    expected = build_signatures(*run)["examples"](examples=tf.constant(records))
    for task, output in outputs.items():
        np.testing.assert_allclose(output, expected[task], rtol=1e-6, atol=1e-6)

    code, out, err = finish(start(
        f"--saved_model={directory}/1", f"--data_dir={run_dir}", "--rows=2", module="export.call"))
    assert code == 0, err
    assert out.splitlines()[0].split() == [
        "row", "signature", "click", "order", "long_view", "rating"]
    assert len(out.splitlines()) == 1 + 2 * 6


@pytest.mark.slow
@pytest.mark.parametrize("flags, message", [
    (("--run_dir=absent", "--export_dir=models", "--model_name=dtrn"),
     "error: --run_dir should be a directory that pipelines.train wrote"),
    (("--run_dir=absent", "--export_dir=models", "--model_name=a", "--version=0"), "version"),
])
def test_wrong_flags_are_one_clear_error(flags, message):
    code, out, err = finish(start(*flags))
    assert (code, out) == (1, "")
    assert message in err and "Traceback" not in err
    assert not os.path.exists(os.path.join(ROOT, "models"))
