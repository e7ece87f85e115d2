"""Shards of records per split, in a directory that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
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


class RecordWriter:
    """Writes serialized records to SPLIT/part-00000-of-00004.tfrecord[.gz].

    Args:
        directory: Where the splits' directories are made.
        splits: Their names.
        num_shards: Shards per split.
        gzip: Whether to compress.
    """

    def __init__(
        self, directory: str, splits: Iterable[str], num_shards: int, gzip: bool
    ) -> None:
        self._stack = ExitStack()
        self._writers = {}
        self._empty: set[tuple[str, int]] = set()
        for split in splits:
            os.makedirs(os.path.join(directory, split))
            for shard in range(num_shards):
                self._empty.add((split, shard))
                name = f"part-{shard:05d}-of-{num_shards:05d}.tfrecord{'.gz' if gzip else ''}"
                self._writers[split, shard] = self._stack.enter_context(tf.io.TFRecordWriter(
                    os.path.join(directory, split, name), options="GZIP" if gzip else None))

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, split: str, shard: int, record: bytes) -> None:
        """Appends one record to a shard."""
        self._empty.discard((split, shard))
        self._writers[split, shard].write(record)

    def check_no_shard_is_empty(self) -> None:
        """A file without records looks like a lost one to every reader.

        Raises:
            DataError: Users are too few for the number of shards.
        """
        if self._empty:
            raise DataError("--num_shards should be so small that every file of every split gets "
                            f"a user. Received: {len(self._empty)} empty files, for example "
                            f"(split, shard) {min(self._empty)}.")


def shards_of(users: np.ndarray, num_shards: int, seed: int) -> np.ndarray:
    """The shard of each row: a hash of its user, so that users spread evenly.

    >>> len(set(shards_of(np.array([7, 7, 7]), num_shards=5, seed=1).tolist()))
    1
    """
    unique, inverse = np.unique(users, return_inverse=True)
    hashes = [zlib.crc32(f"{seed}:{user}".encode()) for user in unique.tolist()]
    return (np.array(hashes, np.int64) % num_shards)[inverse]
