"""A directory to write a version in, unseen by servers; nothing of a killed process stays."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

from dtrn_tf.errors import UserError

# Not a number, so that a server does not look into it.
_PREFIX = ".incomplete-"
_LOCK = "lock"


@contextlib.contextmanager
def staging_directory(directory: str) -> Iterator[str]:
    """A directory beside the versions, to write a version in and rename it from.

    It is removed at the end. What a killed process left is removed when the next one begins: the
    lock of a file in it, which the kernel gives free when the process ends, says whether its
    owner lives.

    Args:
        directory: Where the versions lie.

    Raises:
        UserError: The directory cannot be written.
    """
    try:
        with _locked(os.path.join(directory, ".lock"), wait=True):
            _remove_stale(directory)
            path = tempfile.mkdtemp(prefix=_PREFIX, dir=directory)
            alive = contextlib.ExitStack()
            alive.enter_context(_locked(os.path.join(path, _LOCK), wait=True))
    except OSError as error:
        raise UserError(f"--export_dir should be a directory that can be written. "
                        f"Received: {directory}: {error.strerror}.") from error
    with alive:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _remove_stale(directory: str) -> None:
    """Removes what dead processes left; nobody begins a staging directory meanwhile."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if name.startswith(_PREFIX):
            # Its owner lives, or removes it just now, or it is not ours to remove.
            with contextlib.suppress(OSError):
                with _locked(os.path.join(path, _LOCK), wait=False):
                    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: str, wait: bool) -> Iterator[IO[str]]:
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield file
