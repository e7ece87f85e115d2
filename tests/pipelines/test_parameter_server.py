"""A chief, a worker and a parameter server on this machine: real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.training.checkpoints import checkpoint_steps

pytestmark = pytest.mark.slow
FLAGS = ["--batch_size=4", "--epochs=2", "--eval_every=6", "--seed=3", "--shuffle_buffer=30",
         "--steps_per_call=3", "--units=5", "--interest=mean", "--network=shared_bottom",
         "--refinement=none", "--dropout=0"]


def _start(data_dir, run_dir, *flags, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.train", f"--data_dir={data_dir}", f"--run_dir={run_dir}",
         *FLAGS, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | environment)


def _free_addresses(number):
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def _start_cluster(data_dir, run_dir, *flags, of_each=1):
    """Processes by job and number, and how to start one of them again."""
    addresses = iter(_free_addresses(1 + 2 * of_each))
    jobs = {job: [next(addresses) for _ in range(1 if job == "chief" else of_each)]
            for job in ("chief", "worker", "ps")}

    def start(job, index):
        return _start(data_dir, run_dir, *flags, TF_CONFIG=json.dumps(
            {"cluster": jobs, "task": {"type": job, "index": index}}))
    return {(job, index): start(job, index)
            for job in jobs for index in range(len(jobs[job]))}, start


def _outputs(processes):
    """What each wrote, by job and number; all have ended then."""
    return {key: process.communicate(timeout=200) for key, process in processes.items()}


def _wait_for_step(run_dir, step, seconds=120):
    until = time.monotonic() + seconds
    while max(checkpoint_steps(str(run_dir / "checkpoints")), default=0) < step:
        assert time.monotonic() < until, f"no checkpoint of step {step}"
        time.sleep(0.05)


def test_split_tables_reach_the_metrics_of_one_process(small_data, tmp_path):
    processes, _ = _start_cluster(small_data, tmp_path / "run", "--table_shards=2")
    processes["alone", 0] = _start(small_data, tmp_path / "alone", "--strategy=cpu")
    outputs = _outputs(processes)
    for key, process in processes.items():
        assert process.returncode == 0, outputs[key][1]
    assert "tables in 2 parts" in outputs["chief", 0][1]
    assert "not watched: --watch_every does nothing" in outputs["chief", 0][0]
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

    next_run = _start(small_data, tmp_path / "next", "--strategy=cpu", "--epochs=1",
                      f"--warm_start={tmp_path / 'run'}")
    output, error = next_run.communicate(timeout=100)
    assert next_run.returncode == 0, error
    assert "The optimisers begin anew: its tables were split over servers." in output


def test_two_workers_and_two_servers_go_on_without_one_of_each(small_data, tmp_path):
    """A killed worker comes back; without a server all end, and the same commands go on."""
    flags = ["--epochs=60", "--eval_every=100", "--checkpoint_every=10", "--steps_per_call=5"]
    processes, start = _start_cluster(small_data, tmp_path, *flags, of_each=2)
    _wait_for_step(tmp_path, 10)
    processes["worker", 1].kill()
    processes["worker", 1].communicate()
    processes["worker", 1] = start("worker", 1)
    _wait_for_step(tmp_path, 110)
    assert processes["worker", 1].poll() is None
    processes["ps", 1].kill()
    outputs = _outputs(processes)
    for key, process in processes.items():
        assert process.returncode == (-signal.SIGKILL if key == ("ps", 1) else 75), outputs[key][1]
    assert "a parameter server is gone" in outputs["chief", 0][1]
    last = max(checkpoint_steps(str(tmp_path / "checkpoints")))

    processes, _ = _start_cluster(small_data, tmp_path, *flags, of_each=2)
    outputs = _outputs(processes)
    for key, process in processes.items():
        assert process.returncode == 0, outputs[key][1]
    assert f"resuming {tmp_path} at step {last}" in outputs["chief", 0][0]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["steps"] == 345  # 60 passes over 23 rows, 4 a step


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
