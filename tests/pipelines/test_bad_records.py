"""--max_bad_records as users see it: real processes on damaged files."""

import glob
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from damage import DAMAGES, write_damaged
from helpers import write_small_data

from dtrn_tf.training import load_run

pytestmark = pytest.mark.slow
FLAGS = ["--batch_size=4", "--epochs=3", "--eval_every=12", "--shuffle_buffer=30", "--units=5",
         "--network=shared_bottom", "--interest=mean", "--refinement=none", "--checkpoint_every=4",
         "--dropout=0.2", "--strategy=cpu", "--steps_per_call=1"]
COUNTS = {"train": {"cut.tfrecord": {"cut": 1}, "nan.tfrecord": {"bad_label": 1}},
          "valid": {"flipped.tfrecord": {"checksum": 1}}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """23 good records a split, and damaged files beside them."""
    path = tmp_path_factory.mktemp("data")
    write_small_data(path)
    for split, name, damage in (("train", "cut", "cut in the data"), ("train", "nan", "NaN label"),
                                ("valid", "flipped", "flipped data"),
                                ("test", "typed", "wrong type")):
        write_damaged(path / split, name, DAMAGES[damage], first=40)
    return path


def _start(module, *arguments, **options):
    return subprocess.Popen([sys.executable, "-m", f"pipelines.{module}", *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def _run(module, *arguments):
    process = _start(module, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def study(data, tmp_path_factory):
    """One variant, one seed: a training and an evaluation that leave bad records out."""
    path = tmp_path_factory.mktemp("study")
    (path / "train.flags").write_text("\n".join(FLAGS))
    code, _, err = _run("study", f"--study_dir={path}", f"--data_dir={data}", "--seeds=3",
                        f"--train_flagfile={path}/train.flags", "--variant=one: --nowide",
                        "--max_bad_records=3")
    assert code == 0, err
    return path / "one" / "seed-3", err


def test_bad_records_are_counted_wherever_a_run_speaks(study, data):
    run, err = study
    for line in (f"{data}/train/cut.tfrecord: left out 1 cut, so all from record 4 on. First: ",
                 f"{data}/train/nan.tfrecord: left out 1 bad_label. First: ",
                 f"{data}/valid/flipped.tfrecord: left out 1 checksum. First: ",
                 f"{data}/test/typed.tfrecord: left out 1 wrong_type. First: "):
        assert err.count(line) == 1
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["bad_records"] == COUNTS
    assert metrics["steps"] == 25  # 3 passes over 23 + 4 + 6 good records, 4 a step
    assert metrics["valid"]["click"]["rows"] == 29
    evaluation = json.loads((run / "evaluation" / "test" / "metrics.json").read_text())
    assert evaluation["bad_records"] == {"test": {"typed.tfrecord": {"wrong_type": 1}}}
    assert evaluation["click"]["rows"] == 29
    details = json.loads((run / "bad_records.json").read_text())
    assert [(bad["file"], bad["record"], bad["reason"]) for bad in details["train"]] == [
        ("cut.tfrecord", 4, "cut"), ("nan.tfrecord", 4, "bad_label")]
    assert "--max_bad_records=3\n" in (run / "flags.txt").read_text()
    curves = {}
    for path in glob.glob(f"{run}/tensorboard/*"):
        for event in tf.data.TFRecordDataset(path).as_numpy_iterator():
            for value in tf.compat.v1.Event.FromString(event).summary.value:
                curves[value.tag] = (value.simple_value if value.HasField("simple_value")
                                     else tf.make_ndarray(value.tensor))
    assert curves["bad_records/train/cut"] == curves["bad_records/valid/checksum"] == 1.0
    assert b"| train | nan.tfrecord | bad_label | 1 |" in curves["bad_records"].item()


def test_killed_and_started_again_ends_as_if_nothing_happened(study, data, tmp_path):
    arguments = [*FLAGS, "--nowide", "--seed=3", f"--data_dir={data}", f"--run_dir={tmp_path}",
                 "--max_bad_records=3"]
    process = _start("train", *arguments)
    while not (tmp_path / "checkpoints" / "ckpt-8").exists():
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "metrics.json").exists()
    code, out, err = _run("train", *arguments)
    assert code == 0 and "resuming" in out, err
    after, before = (json.loads((run / "metrics.json").read_text()) for run in (tmp_path, study[0]))
    assert after["valid"] == before["valid"] and after["bad_records"] == before["bad_records"]
    for a, b in zip(*(load_run(str(run))[0].get_weights() for run in (tmp_path, study[0]))):
        np.testing.assert_array_equal(a, b)


def test_one_bad_record_too_many_stops_before_anything_is_written(data, tmp_path):
    code, _, err = _run("train", *FLAGS, f"--data_dir={data}", f"--run_dir={tmp_path}/run",
                        "--max_bad_records=2")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 1 and len(lines) == 1
    assert "there should be at most --max_bad_records=2 bad records. Received: at least 3 " \
        "(cut.tfrecord: 1 cut; nan.tfrecord: 1 bad_label; flipped.tfrecord: 1 checksum)" in lines[0]
    assert not (tmp_path / "run").exists()
