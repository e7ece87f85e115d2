import os
import pathlib
import resource
import shutil

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.errors import UserError
from dtrn_tf.training.checkpoints import Checkpoints


class _Run:
    """A weight, a step and a shuffled input: what a run goes on with."""

    def __init__(self, directory):
        self.weight = tf.Variable(tf.zeros([100, 3]))
        self.iterator = iter(tf.data.Dataset.range(50).shuffle(20, seed=1).repeat())
        self.directory = pathlib.Path(directory)
        self.checkpoints = Checkpoints(
            str(directory), {"weight": self.weight}, own={"iterator": self.iterator})

    def save(self, step):
        self.weight.assign(tf.fill([100, 3], float(step)))
        self.checkpoints.save(step)

    def draw(self):
        return [int(next(self.iterator)) for _ in range(30)]


def _saved(directory):
    """A run with states of steps 2 and 4, and what the input gives after each of them."""
    run, drawn = _Run(directory), {}
    for step in (2, 4):
        next(run.iterator)
        run.save(step)
        drawn[step] = run.draw()
    return drawn


def _cut_data(path):
    file = next(path.glob("state.data-*"))
    file.write_bytes(file.read_bytes()[:-1000])


def _flip_bit(path):
    file = next(path.glob("state.data-*"))
    data = bytearray(file.read_bytes())
    data[600] ^= 1
    file.write_bytes(bytes(data))


def _cut_index(path):
    file = path / "process-0.index"
    file.write_bytes(file.read_bytes()[:-10])


def _empty(path):
    shutil.rmtree(path)
    path.mkdir()


def test_the_newest_state_comes_back_and_older_ones_go(tmp_path):
    drawn = _saved(tmp_path)
    run = _Run(tmp_path)
    assert run.checkpoints.restore() == 4
    assert run.draw() == drawn[4]
    run.save(10)
    # By number, not by name.
    assert sorted(os.listdir(tmp_path)) == ["ckpt-10", "ckpt-4"]
    run.save(10)
    assert _Run(tmp_path).checkpoints.restore() == 10


def test_without_a_state_there_is_nothing_to_restore(tmp_path):
    assert _Run(tmp_path / "absent").checkpoints.restore() is None
    (tmp_path / "ckpt-3.tmp").mkdir()  # killed in its first save
    (tmp_path / "notes").mkdir()
    assert _Run(tmp_path).checkpoints.restore() is None
    assert os.listdir(tmp_path) == ["notes"]


@pytest.mark.parametrize("spoil", [_cut_data, _flip_bit, _cut_index, _empty])
def test_a_broken_state_is_passed_over_with_a_warning(spoil, tmp_path, capsys):
    drawn = _saved(tmp_path)
    spoil(tmp_path / "ckpt-4")
    run = _Run(tmp_path)
    assert run.checkpoints.restore() == 2
    assert f"warning: a checkpoint cannot be read and is passed over. {tmp_path}/ckpt-4: " \
        in capsys.readouterr().err
    np.testing.assert_array_equal(run.weight, np.full([100, 3], 2.0))
    assert run.draw() == drawn[2]
    run.save(4)  # takes the place of the broken one
    assert _Run(tmp_path).checkpoints.restore() == 4


def test_only_broken_states_are_an_error_and_no_new_start(tmp_path):
    _saved(tmp_path)
    _cut_data(tmp_path / "ckpt-4")
    _cut_index(tmp_path / "ckpt-2")
    with pytest.raises(UserError, match="should hold a checkpoint that can be read. Received: 2, "
                                        "all broken; .*ckpt-2: .* Remedy: .*--overwrite"):
        _Run(tmp_path).checkpoints.restore()


@pytest.mark.parametrize("shape", [[100, 4], None])
def test_the_state_of_another_model(shape, tmp_path):
    _saved(tmp_path)
    other = {"weight": tf.Variable(tf.zeros(shape))} if shape else {"bias": tf.Variable(1.0)}
    with pytest.raises(UserError, match="ckpt-4: should hold the state of this model. Received: "
                                        ".* Remedy: .*versions.json"):
        Checkpoints(str(tmp_path), other).restore()


def test_a_save_that_fails_leaves_the_states_before(tmp_path, monkeypatch):
    _saved(tmp_path)
    run = _Run(tmp_path)

    def full(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        with pytest.raises(UserError, match="ckpt-6: a checkpoint should be written. Received: .*"
                                            "No space left on device. Nothing of it is left; the "
                                            "last one, of step 4, is whole. Remedy: make room"):
            run.save(6)
    # Stands for a full disk, which a test cannot make: a file ends at 100 bytes.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UserError, match="ckpt-6: .* the last one, of step 4, is whole"):
            run.save(6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir(tmp_path)) == ["ckpt-2", "ckpt-4"]
    assert _Run(tmp_path).checkpoints.restore() == 4
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="there is none before"):
        _Run(tmp_path / "file").save(1)
    # Nobody, not even root, makes directories there: like a disk that can only be read.
    with pytest.raises(UserError, match="/proc/run/ckpt-1: a checkpoint should be written"):
        _Run("/proc/run").save(1)
