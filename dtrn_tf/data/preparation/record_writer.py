"""Shards of records per split, in a directory that appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

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
        self._num_shards = num_shards
        self._num_records = dict.fromkeys(splits, 0)
        self._writers = {}
        for split in self._num_records:
            os.makedirs(os.path.join(directory, split))
            for shard in range(num_shards):
                name = f"part-{shard:05d}-of-{num_shards:05d}.tfrecord{'.gz' if gzip else ''}"
                self._writers[split, shard] = self._stack.enter_context(tf.io.TFRecordWriter(
                    os.path.join(directory, split, name), options="GZIP" if gzip else None))

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, split: str, record: bytes) -> None:
        """Appends one record to a split; its shards take turns, so their sizes differ by one."""
        shard = self._num_records[split] % self._num_shards
        self._writers[split, shard].write(record)
        self._num_records[split] += 1

    def check_no_shard_is_empty(self) -> None:
        """A file without records looks like a lost one to every reader.

        Raises:
            DataError: A split has fewer records than shards.
        """
        if min(self._num_records.values()) < self._num_shards:
            raise DataError("--num_shards should be at most the records of every split. "
                            f"Received: {self._num_shards} for {self._num_records}.")
