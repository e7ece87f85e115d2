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

_CHECKPOINT = re.compile(r"^ckpt-(\d+)$")
_TEMPORARY = re.compile(r"^ckpt-\d+\.tmp$")
# What TensorFlow raises for a file that is missing, cut or changed.
_BROKEN = (tf.errors.OpError, IndexError, RuntimeError)


class Checkpoints:
    """Saves and restores the state of a run: DIRECTORY/ckpt-STEP/, one directory a state.

    A state is written into `ckpt-STEP.tmp`, which is then renamed: a process that is killed while
    it saves leaves the states before untouched. Nothing else says which states there are.

    Args:
        directory: Where the states lie; made if absent.
        state: What to save, by name: anything that `tf.train.Checkpoint` takes.
        keep: How many states to keep, the newest ones.

    Example:
        >>> import tempfile
        >>> step = tf.Variable(7)
        >>> checkpoints = Checkpoints(tempfile.mkdtemp(), {"step": step})
        >>> checkpoints.save(7)
        >>> step = step.assign(9)
        >>> checkpoints.restore(), int(step)
        (7, 7)
    """

    def __init__(self, directory: str, state: dict[str, Any], keep: int = 2) -> None:
        self._directory = directory
        self._checkpoint = tf.train.Checkpoint(**state)
        self._keep = keep

    def save(self, step: int) -> None:
        """Saves the state after a step, then deletes the oldest ones.

        Raises:
            UserError: It cannot be written; the states before are whole.
        """
        path, temporary = self._path(step), f"{self._path(step)}.tmp"
        try:
            os.makedirs(temporary, exist_ok=True)
            self._checkpoint.write(os.path.join(temporary, "state"))
            shutil.rmtree(path, ignore_errors=True)  # Saved before, or broken.
            os.rename(temporary, path)
        except (OSError, tf.errors.OpError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise self._cannot_write(step, error) from error
        for old in self._steps()[self._keep:]:
            shutil.rmtree(self._path(old))

    def restore(self) -> int | None:
        """Brings back the newest state that can be read.

        Returns:
            Its step, or None if no state was ever saved.

        Raises:
            UserError: There are states, but none can be read, or they are those of another model.
        """
        self._remove_temporary()
        steps, broken = self._steps(), ""
        for step in steps:
            try:
                self._checkpoint.read(
                    os.path.join(self._path(step), "state")).assert_existing_objects_matched()
                return step
            except _BROKEN as error:
                broken = f"{self._path(step)}: {_reason(error)}"
                print(f"warning: a checkpoint cannot be read and is passed over. {broken}",
                      file=sys.stderr)
            except (AssertionError, ValueError) as error:
                raise UserError(
                    f"{self._path(step)}: should hold the state of this model. Received: "
                    f"{_reason(error)}. Remedy: go on with the version of this package and of "
                    "TensorFlow in versions.json, or begin anew with --overwrite.") from error
        if steps:
            raise UserError(
                f"{self._directory}: should hold a checkpoint that can be read. Received: "
                f"{len(steps)}, all broken; {broken}. Remedy: bring one back from a copy, or "
                "begin anew with --overwrite.")
        return None

    def _path(self, step: int) -> str:
        return os.path.join(self._directory, f"ckpt-{step}")

    def _steps(self) -> list[int]:
        """The steps of all states, the newest one first."""
        if not os.path.isdir(self._directory):
            return []
        found = map(_CHECKPOINT.match, os.listdir(self._directory))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def _remove_temporary(self) -> None:
        """What saves left that were killed."""
        if os.path.isdir(self._directory):
            for name in filter(_TEMPORARY.match, os.listdir(self._directory)):
                shutil.rmtree(os.path.join(self._directory, name))

    def _cannot_write(self, step: int, error: Exception) -> UserError:
        steps = self._steps()
        last = f"the last one, of step {steps[0]}, is whole" if steps else "there is none before"
        return UserError(
            f"{self._path(step)}: a checkpoint should be written. Received: {_reason(error)}. "
            f"Nothing of it is left; {last}. Remedy: make room or give the right to write, then "
            "give the same command again.")


def _reason(error: Exception) -> str:
    message = plain_message(error) if isinstance(error, tf.errors.OpError) else str(error)
    return (message.strip() or repr(error)).splitlines()[0].rstrip(".")
