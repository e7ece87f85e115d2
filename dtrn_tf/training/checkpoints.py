"""States of a run from which it goes on, each of them whole or not there at all."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any

import tensorflow as tf

from dtrn_tf.data.record_check import plain_message
from dtrn_tf.errors import UserError
from dtrn_tf.training.cluster import Cluster

_CHECKPOINT = re.compile(r"^ckpt-(\d+)$")
_TEMPORARY = re.compile(r"^ckpt-\d+\.tmp$")
# What TensorFlow raises for a file that is missing, cut or changed.
_BROKEN = (tf.errors.OpError, IndexError, RuntimeError)


class Checkpoints:
    """Saves and restores the state of a run: DIRECTORY/ckpt-STEP/, one directory a state.

    A state is written into `ckpt-STEP.tmp`, which is then renamed: a process that is killed while
    it saves leaves the states before untouched. Nothing else says which states there are.

    Of several processes, on a file system that they share, the chief writes what all have alike,
    each what is its own, and a state counts as read or written only if all could.

    Args:
        directory: Where the states lie; made if absent.
        state: What to save, by name: anything that `tf.train.Checkpoint` takes.
        own: The same, but another one in each process.
        cluster: The processes that save and restore together; by default this one.
        keep: How many states to keep, the newest ones.

    Example:
        >>> import tempfile
        >>> weight = tf.Variable(0.5)
        >>> checkpoints = Checkpoints(tempfile.mkdtemp(), {"weight": weight})
        >>> checkpoints.save(7)
        >>> weight = weight.assign(0.25)
        >>> checkpoints.restore(), float(weight)
        (7, 0.5)
    """

    def __init__(self, directory: str, state: dict[str, Any], own: dict[str, Any] | None = None,
                 cluster: Cluster | None = None, keep: int = 2) -> None:
        self._directory = directory
        self._cluster = cluster or Cluster(tf.distribute.get_strategy())
        self._state = tf.train.Checkpoint(**state)
        self._own = tf.train.Checkpoint(**(own or {}))
        self._own_name = f"process-{self._cluster.index}"
        self._keep = keep
        self._current: int | None = None

    def save(self, step: int) -> None:
        """Saves the state after a step, unless that is done, then deletes the oldest ones.

        Raises:
            UserError: It cannot be written; the states before are whole.
        """
        if step == self._current:
            return
        problem = self._write(f"{self._path(step)}.tmp")
        if self._cluster.all(problem is None):
            problem = self._publish(step)
        else:
            problem = problem or "another process of the cluster says why"
        if problem:
            self._remove_temporary()
            raise self._cannot_write(step, problem)
        self._current = step

    def restore(self) -> int | None:
        """Brings back the newest state that can be read.

        Returns:
            Its step, or None if no state was ever saved.

        Raises:
            UserError: There are states, but none can be read, or they are those of another model.
        """
        steps, broken = self._steps(), ""
        for step in steps:
            problem = self._read(step)
            if self._cluster.all(problem is None):
                self._current = step
                break
            broken = f"{self._path(step)}: {problem or 'another process cannot read it'}"
            print(f"warning: a checkpoint cannot be read and is passed over. {broken}",
                  file=sys.stderr)
        if steps and self._current is None:
            raise UserError(
                f"{self._directory}: should hold a checkpoint that can be read. Received: "
                f"{len(steps)}, all broken; {broken}. Remedy: bring one back from a copy, or "
                "begin anew with --overwrite.")
        self._remove_temporary()
        return self._current

    def _write(self, directory: str) -> str | None:
        """Writes what is this process's to write; says what went wrong."""
        try:
            os.makedirs(directory, exist_ok=True)
            self._own.write(os.path.join(directory, self._own_name))
            if self._cluster.is_chief:
                self._state.write(os.path.join(directory, "state"))
        except (OSError, tf.errors.OpError) as error:
            return _reason(error)
        return None

    def _publish(self, step: int) -> str | None:
        """Gives a state its name; says what went wrong."""
        if self._cluster.is_chief:
            try:
                shutil.rmtree(self._path(step), ignore_errors=True)  # One that was broken.
                os.rename(f"{self._path(step)}.tmp", self._path(step))
            except OSError as error:
                return _reason(error)
            for old in self._steps()[self._keep:]:
                shutil.rmtree(self._path(old), ignore_errors=True)
        return None

    def _read(self, step: int) -> str | None:
        """Brings a state back; says what went wrong."""
        try:
            for checkpoint, name in ((self._state, "state"), (self._own, self._own_name)):
                status = checkpoint.read(os.path.join(self._path(step), name))
                status.assert_existing_objects_matched()
        except _BROKEN as error:
            return _reason(error)
        except (AssertionError, ValueError) as error:
            raise UserError(
                f"{self._path(step)}: should hold the state of this model. Received: "
                f"{_reason(error)}. Remedy: go on with the version of this package and of "
                "TensorFlow in versions.json, or begin anew with --overwrite.") from error
        return None

    def _path(self, step: int) -> str:
        return os.path.join(self._directory, f"ckpt-{step}")

    def _steps(self) -> list[int]:
        return checkpoint_steps(self._directory)

    def _remove_temporary(self) -> None:
        """What saves left that failed or were killed."""
        if self._cluster.is_chief and os.path.isdir(self._directory):
            for name in filter(_TEMPORARY.match, os.listdir(self._directory)):
                shutil.rmtree(os.path.join(self._directory, name), ignore_errors=True)

    def _cannot_write(self, step: int, problem: str) -> UserError:
        steps = self._steps()
        last = f"the last one, of step {steps[0]}, is whole" if steps else "there is none before"
        return UserError(
            f"{self._path(step)}: a checkpoint should be written. Received: {problem}. "
            f"Nothing of it is left; {last}. Remedy: make room or give the right to write, then "
            "give the same command again.")


def checkpoint_steps(directory: str) -> list[int]:
    """The steps of all states in a directory, the newest one first; empty if it is not there."""
    if not os.path.isdir(directory):
        return []
    found = map(_CHECKPOINT.match, os.listdir(directory))
    return sorted((int(match[1]) for match in found if match), reverse=True)


def _reason(error: Exception) -> str:
    message = plain_message(error) if isinstance(error, tf.errors.OpError) else str(error)
    return (message.strip() or repr(error)).splitlines()[0].rstrip(".")
