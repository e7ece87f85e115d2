"""A chief, a worker and a parameter server on this machine: real processes."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow
FLAGS = ["--batch_size=4", "--epochs=2", "--eval_every=6", "--seed=3", "--shuffle_buffer=30",
         "--steps_per_call=3", "--units=5", "--interest=mean", "--network=shared_bottom",
         "--refinement=none", "--dropout=0"]


def _start(data_dir, run_dir, *flags, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}",
         *FLAGS, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | environment)


def _cluster():
    sockets = [socket.socket() for _ in range(3)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    jobs = {job: [f"127.0.0.1:{one.getsockname()[1]}"]
            for job, one in zip(("chief", "worker", "ps"), sockets)}
    for one in sockets:
        one.close()
    return jobs


def test_split_tables_reach_the_metrics_of_one_process(small_data, tmp_path):
    jobs = _cluster()
    processes = [_start(small_data, tmp_path / "run", "--table_shards=2", TF_CONFIG=json.dumps(
        {"cluster": jobs, "task": {"type": job, "index": 0}})) for job in jobs]
    processes.append(_start(small_data, tmp_path / "alone", "--strategy=cpu"))
    outputs = [process.communicate(timeout=200) for process in processes]
    for process, (_, error) in zip(processes, outputs):
        assert process.returncode == 0, error
    assert "tables in 2 parts" in outputs[0][1]
    served, alone = (json.loads((tmp_path / name / "metrics.json").read_text())
                     for name in ("run", "alone"))
    assert served["step"] == alone["step"]
    for task, metrics in alone["valid"].items():
        for name, value in metrics.items():
            if value is not None:
                np.testing.assert_allclose(served["valid"][task][name], value, rtol=1e-4)
    step = served["steps"]
    reader = tf.train.load_checkpoint(str(tmp_path / f"run/checkpoints/ckpt-{step}/state"))
    rows = [shape[0] for name, shape in reader.get_variable_to_shape_map().items()
            if name.startswith("slots/")]
    models = [tf.keras.models.load_model(tmp_path / name / "best/model.keras", compile=False)
              for name in ("run", "alone")]
    tables = models[1].embedding_tables
    assert len(rows) == 2 * len(tables) and sum(rows) == sum(t.shape[0] for t in tables)
    for one, other in zip(*(model.get_weights() for model in models)):
        np.testing.assert_allclose(one, other, atol=2e-4)


WRONG = {"loss_weighting": "gradnorm", "gradient_method": "pcgrad", "deterministic": True,
         "precision": "mixed_float16", "warm_start": "other_run", "dry_run": True}


def test_flags_that_do_not_fit_servers_are_refused():
    script = (
        "import sys\nfrom absl import flags\nimport pipelines.train\n"
        "from pipelines.training_flags import check_flags_of_servers, UserError\n"
        "flags.FLAGS(['train', '--strategy=parameter_server', '--data_dir=d', '--run_dir=r'])\n"
        "check_flags_of_servers()\n"  # What is not given fits.
        f"for name, value in {WRONG}.items():\n"
        "    right, flags.FLAGS[name].value = flags.FLAGS[name].value, value\n"
        "    try:\n        check_flags_of_servers()\n"
        "    except UserError as error:\n        print(error)\n"
        "    flags.FLAGS[name].value = right\n")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(WRONG)
    for line, (name, value) in zip(lines, WRONG.items()):
        assert line.startswith(f"--{name} should be "), line
        assert f"with --strategy=parameter_server. Received: {value!r}. Remedy: " in line


def test_a_flag_that_does_not_fit_ends_the_program(small_data, tmp_path):
    process = _start(small_data, tmp_path, "--strategy=parameter_server", "--deterministic")
    _, error = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "--deterministic should be False with --strategy=parameter_server. Received: True" \
        in error
