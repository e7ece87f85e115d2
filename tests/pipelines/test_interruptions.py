"""Runs that are killed, terminated or out of room, and go on: real processes."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.training import load_run

pytestmark = pytest.mark.slow
SCRIPT = pathlib.Path(__file__).parent / "interrupted_train.py"
# Everything with a memory of its own: dropout, shuffling, slots, learned loss weights, patience
# (the number of rows is never better than at first).
FLAGS = ["--batch_size=4", "--epochs=5", "--eval_every=6", "--checkpoint_every=4", "--seed=3",
         "--shuffle_buffer=30", "--dropout=0.2", "--loss_weighting=uncertainty", "--patience=2",
         "--selection_metric=click/rows", "--strategy=cpu", "--steps_per_call=1",
         "--units=5", "--interest=mean", "--network=shared_bottom", "--refinement=none"]


def _train(data_dir, run_dir, program=("-m", "pipelines.train")):
    return subprocess.run(
        [sys.executable, *program, f"--data_dir={data_dir}", f"--run_dir={run_dir}", *FLAGS],
        capture_output=True, text=True)


def _interrupted(what, step):
    return str(SCRIPT), what, str(step)


def _state(directory):
    """All that the newest checkpoint of a run holds."""
    newest = max((directory / "checkpoints").iterdir(), key=lambda path: int(path.name[5:]))
    reader = tf.train.load_checkpoint(str(newest / "state"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_a_run_that_is_interrupted_in_every_way_ends_as_if_nothing_happened(small_data, tmp_path):
    whole = _train(small_data, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    run = tmp_path / "run"
    checkpoints = run / "checkpoints"

    done = _train(small_data, run, _interrupted("kill_in_best_model", 6))
    assert done.returncode == -9
    assert os.listdir(checkpoints) == ["ckpt-4"] and os.listdir(run / "best") == ["model.keras"]

    done = _train(small_data, run, _interrupted("kill_in_checkpoint", 8))
    assert done.returncode == -9 and "resuming" in done.stdout and "at step 4" in done.stdout
    assert sorted(os.listdir(checkpoints)) == ["ckpt-4", "ckpt-6", "ckpt-8.tmp"]

    # In the eighth step of this process, the fourteenth of the run.
    done = _train(small_data, run, _interrupted("terminate", 8))
    assert done.returncode == 75 and "at step 6" in done.stdout
    assert f"{run}: asked to end (SIGTERM), after step 14 of 29, which is saved. The same " \
           "command goes on.\n" in done.stderr
    assert sorted(os.listdir(checkpoints)) == ["ckpt-12", "ckpt-14"]

    cut = checkpoints / "ckpt-14" / "state.data-00000-of-00001"
    cut.write_bytes(cut.read_bytes()[:-1000])
    done = _train(small_data, run)
    assert done.returncode == 0, done.stderr
    assert f"warning: a checkpoint cannot be read and is passed over. {checkpoints}/ckpt-14" \
        in done.stderr and "at step 12" in done.stdout

    _assert_equal_runs(run, tmp_path / "whole")


def _assert_equal_runs(run, whole):
    one, two = (json.loads((path / "metrics.json").read_text()) for path in (run, whole))
    for result in ("steps", "step", "best_step", "valid"):
        assert one[result] == two[result]
    assert (two["best_step"], two["steps"]) == (6, 18), "patience should end this run"
    for a, b in zip(load_run(str(run))[0].get_weights(), load_run(str(whole))[0].get_weights()):
        np.testing.assert_array_equal(a, b)
    one, two = _state(run), _state(whole)
    assert set(one) == set(two)
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)
