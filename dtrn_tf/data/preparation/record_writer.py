"""Files of records, in a directory that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import tensorflow as tf

from dtrn_tf.errors import DataError


@contextmanager
def new_directory(target: str, overwrite: bool, marker: str) -> Iterator[str]:
    """Gives a temporary directory that becomes `target` when all went well, else vanishes.

    Args:
        target: Must not exist, unless `overwrite`.
        overwrite: Replace `target`, if it is a directory that holds `marker`.
        marker: Name of a file that tells such directories from others.

    Raises:
        DataError: The target exists, or cannot be made.
    """
    target = os.path.abspath(target)
    check_target(target, overwrite, marker)
    temporary = f"{target}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        os.makedirs(temporary)
    except OSError as error:
        raise DataError(f"{target}: should be a directory that can be made. Received: "
                        f"{error.strerror}. Choose another --data_dir.") from error
    try:
        yield temporary
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(target: str, overwrite: bool, marker: str) -> None:
    """Raises DataError if the target must not be written."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise DataError(f"{target}: should not exist yet. Received: it exists. Choose another "
                        "--data_dir, or give --overwrite to replace it.")
    if not os.path.exists(os.path.join(target, marker)):
        raise DataError(f"{target}: --overwrite should replace a directory with {marker} only. "
                        "Received: something else. Choose another --data_dir, or remove it.")


def _replace(temporary: str, target: str) -> None:
    old = f"{temporary}.old"
    if os.path.lexists(target):
        os.rename(target, old)
    os.rename(temporary, target)
    shutil.rmtree(old, ignore_errors=True)


def shard_path(directory: str, shard: int, num_shards: int, gzip: bool) -> str:
    """Where the records of a shard lie.

    >>> shard_path("train", 0, 4, gzip=True)
    'train/part-00000-of-00004.tfrecord.gz'
    """
    name = f"part-{shard:05d}-of-{num_shards:05d}.tfrecord{'.gz' if gzip else ''}"
    return os.path.join(directory, name)


def write_records(path: str, records: Iterable[bytes]) -> None:
    """Writes a file of serialized records, compressed if its name ends in `.gz`.

    The file appears when it is whole, so two machines may write the same one.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{uuid.uuid4().hex[:8]}.tmp"
    with tf.io.TFRecordWriter(temporary, "GZIP" if path.endswith(".gz") else None) as writer:
        for record in records:
            writer.write(record)
    os.replace(temporary, path)
