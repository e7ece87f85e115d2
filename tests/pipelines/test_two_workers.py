"""Two workers on this machine that train together: real processes."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow
SCRIPT = pathlib.Path(__file__).parent / "interrupted_train.py"
FLAGS = ["--batch_size=4", "--epochs=5", "--eval_every=6", "--checkpoint_every=4", "--seed=3",
         "--shuffle_buffer=30", "--steps_per_call=1", "--units=5", "--interest=mean",
         "--network=shared_bottom", "--refinement=none", "--dropout=0"]


def _start(data_dir, run_dir, program, **environment):
    return subprocess.Popen(
        [sys.executable, *program, f"--data_dir={data_dir}", f"--run_dir={run_dir}", *FLAGS],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment)


def _train_together(data_dir, run_dir, what, step):
    """Two workers, of which the second one does `what` in a step; [(exit code, out, err)]."""
    ports = _free_ports(2)
    workers = []
    for index in range(2):
        config = json.dumps({"cluster": {"worker": [f"127.0.0.1:{port}" for port in ports]},
                             "task": {"type": "worker", "index": index}})
        program = (str(SCRIPT), what, str(step)) if index else ("-m", "pipelines.train")
        workers.append(_start(data_dir, run_dir, program, TF_CONFIG=config))
    outputs = [worker.communicate(timeout=300) for worker in workers]
    return [(worker.returncode, *output) for worker, output in zip(workers, outputs)]


def _free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _state(checkpoint):
    reader = tf.train.load_checkpoint(str(checkpoint / "state"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def test_two_workers_reach_the_weights_of_one_process_though_one_dies(small_data, tmp_path):
    """Of the 23 records each worker reads 11 or 12; one process reads both shares together."""
    run = tmp_path / "run"
    (code, _, error), (killed, *_) = _train_together(small_data, run, "kill", 6)
    assert killed == -9 and code == 75
    assert f"{run}: another process of the cluster is gone; wait until all have ended. The " \
           "same command goes on." in error
    assert os.listdir(run / "checkpoints") == ["ckpt-4"]

    # The same commands go on; now one of them is asked to end, in step 9 of the run.
    assert "# processes: 2, devices: 2\n" in (run / "flags.txt").read_text()
    workers = _train_together(small_data, run, "terminate", 5)
    for code, output, error in workers:
        assert code == 75, error
        assert f"resuming {run} at step 4" in output
        assert "asked to end (SIGTERM), after step 9 of 29, which is saved" in error
    assert "training: " in workers[0][2] and "training: " not in workers[1][2]
    assert len(os.listdir(run / "tensorboard")) == 2  # one file for each start of the chief

    alone = tmp_path / "alone"
    process = _start(small_data, alone, (str(SCRIPT), "both_shares", "9"))
    _, error = process.communicate(timeout=300)
    assert process.returncode == 75, error
    one, two = (_state(path / "checkpoints" / "ckpt-9") for path in (alone, run))
    assert set(one) == set(two)
    for name, value in one.items():
        # Sums in another order; Adam divides small gradients by their own size.
        np.testing.assert_allclose(two[name], value, atol=2e-4, err_msg=name)
    metrics = [json.loads((path / "best" / "metrics.json").read_text()) for path in (alone, run)]
    assert [m["step"] for m in metrics] == [6, 6]
    np.testing.assert_allclose(metrics[1]["valid"]["click"]["log_loss"],
                               metrics[0]["valid"]["click"]["log_loss"], rtol=1e-4)
