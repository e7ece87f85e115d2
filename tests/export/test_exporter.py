import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_row, small_schema, write_records

from dtrn_tf.data.examples import encode_example
from dtrn_tf.errors import UserError
from export import exporter

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def start(*flags, module="export"):
    return subprocess.Popen([sys.executable, "-m", module, *flags], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process):
    out, err = process.communicate(timeout=300)
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
    def random_model(inputs, training):
        return {task: tf.random.uniform(tf.shape(inputs["age"]))
                for task in small_schema().task_names}

    monkeypatch.setattr(exporter, "load_run", lambda path: (random_model, run[1], run[2]))
    with pytest.raises(UserError, match="should give the outputs of the Keras model in a process"):
        exporter.export_run(run_dir, str(tmp_path), "dtrn")
    assert not os.listdir(tmp_path / "dtrn")


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

    code, out, err = finish(start(*flags))
    assert code == 0, err
    assert out.splitlines()[:2] == [
        f"Exported {directory}/1",
        "Signatures: click, order, long_view, rating, serving_default, examples"]
    assert "Verified at batch sizes 1, 2, 1000: largest difference" in out
    assert sorted(p.name for p in directory.iterdir() if not p.name.startswith(".")) == ["1"]
    assert {"README.md", "schema.yaml", "statistics.json"} <= set(
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
