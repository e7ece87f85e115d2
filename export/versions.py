"""Version directories of an exported model: whole or not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re

from dtrn_tf.errors import UserError
from export.staging import staging_directory

# What rename(2) says of a directory that is there and not empty.
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


def model_directory(export_dir: str, model_name: str) -> str:
    """Makes EXPORT_DIR/MODEL_NAME, where the versions lie.

    Raises:
        UserError: The name is no directory name, or the directory cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", model_name):
        raise UserError("--model_name should be letters, digits, '_', '.' and '-', and begin with "
                        f"a letter or digit. Received: {model_name!r}.")
    directory = os.path.join(export_dir, model_name)
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise UserError(f"--export_dir should be a directory that can be written. "
                        f"Received: {directory}: {error.strerror}.") from error
    return directory


def check_version_is_free(directory: str, version: int | None) -> None:
    """Says before the work that a chosen version is taken.

    Raises:
        UserError: It is.
    """
    if version is not None and os.path.lexists(os.path.join(directory, str(version))):
        raise UserError(f"--version should be a number that is not taken. Received: {version}, "
                        f"but {os.path.join(directory, str(version))} exists. "
                        "Remedy: leave the flag out to take the next free number.")


def publish(source: str, directory: str, version: int | None = None) -> str:
    """Renames a finished directory to its version; of two that race each gets its own number.

    Args:
        source: What becomes the version; not empty, on the same file system.
        directory: Where the versions lie.
        version: The number; by default one above the highest.

    Returns:
        The path of the version.

    Raises:
        UserError: The chosen number is taken.
    """
    _flush(source)
    while True:
        check_version_is_free(directory, version)
        number = next_version(directory) if version is None else version
        target = os.path.join(directory, str(number))
        try:
            # Fails if another exporter was faster: a directory that is not empty is never replaced.
            os.rename(source, target)
            return target
        except OSError as error:
            if error.errno not in _TAKEN:
                raise


def remove_old_versions(directory: str, keep: int, published: str) -> list[str]:
    """Removes all but the highest versions; none is seen in part, as each is renamed first.

    Args:
        directory: Where the versions lie.
        keep: How many stay, at least 1.
        published: A version that stays, whatever its number.

    Returns:
        The paths of the removed versions, the oldest first.
    """
    removed = []
    for number in version_numbers(directory)[:-keep]:
        path = os.path.join(directory, str(number))
        if path != published:
            with staging_directory(directory) as trash:
                # Another exporter that removes old versions may be faster.
                with contextlib.suppress(FileNotFoundError):
                    os.rename(path, os.path.join(trash, str(number)))
                    removed.append(path)
    return removed


def version_numbers(directory: str) -> list[int]:
    """The numbers of the versions, rising."""
    # As servers have it: other spellings of a number, such as 007, are no versions of ours.
    return sorted(int(name) for name in os.listdir(directory)
                  if name.isdecimal() and name == str(int(name)))


def next_version(directory: str) -> int:
    """One above the highest number among the names in the directory, or 1."""
    return 1 + max((int(name) for name in os.listdir(directory) if name.isdecimal()), default=0)


def _flush(directory: str) -> None:
    """Has the system write the files, which it may do long after a rename."""
    for parent, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                os.fsync(file.fileno())
