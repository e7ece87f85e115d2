"""Which partition a user belongs to, and tables kept apart by partition, on disk if they are large.

A partition is what must fit into memory at a time. All rows of a user are in one, which depends on
nothing but the user's id, the seed and the number of partitions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from dtrn_tf.data.preparation.columns import key_ids

# Rows are held in memory up to this size before they go to the disk.
_MAX_BYTES = 1 << 26


def partition_of_rows(
    table: pd.DataFrame, name: str, user: str, num_partitions: int, seed: int
) -> np.ndarray:
    """The partition of every row's user.

    Args:
        table: Some rows.
        name: The table's name, for messages.
        user: Its column with the user id.
        num_partitions: How many there are.
        seed: Equal seeds give equal partitions.

    Raises:
        DataError: A row has no user.

    >>> users = pd.DataFrame({"user_id": [1, 2, 3, 2, 1]})
    >>> partition_of_rows(users, "interactions", "user_id", 2, seed=0).tolist()
    [1, 0, 0, 0, 1]
    """
    ids = key_ids(table, user, name)
    hashes = pd.util.hash_array(ids) + np.uint64(seed)
    return (pd.util.hash_array(hashes) % np.uint64(num_partitions)).astype(np.int64)


def split_by_partition(
    table: pd.DataFrame, partitions: np.ndarray
) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each partition that has some."""
    rows, begins = _sorted(table, partitions, int(partitions.max(initial=-1)) + 1)
    for partition, (begin, end) in enumerate(zip(begins[:-1].tolist(), begins[1:].tolist())):
        if end > begin:
            yield partition, rows.slice(begin, end - begin)


def _sorted(
    table: pd.DataFrame, partitions: np.ndarray, num_partitions: int
) -> tuple[pa.Table, np.ndarray]:
    """Rows by partition, and where each begins."""
    # Without pandas' metadata, so that batches with and without missing values can be joined.
    rows = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    begins = np.searchsorted(np.sort(partitions), np.arange(num_partitions + 1))
    return rows.take(np.argsort(partitions, kind="stable")), begins


def join(pieces: list[pa.Table], head: pd.DataFrame) -> pd.DataFrame:
    """The rows of some pieces of a table, in the types of all pieces together.

    Args:
        pieces: As `split_by_partition` makes them.
        head: The table without its rows, for when there are no pieces.
    """
    if not pieces:
        return head
    return pa.concat_tables(pieces, promote_options="permissive").to_pandas()


def to_bytes(rows: pa.Table) -> bytes:
    """Serializes rows, of a slice its own only."""
    stream = pa.BufferOutputStream()
    _write(stream, rows)
    return stream.getvalue().to_pybytes()


def from_bytes(data: bytes) -> pa.Table:
    """What `to_bytes` serialized."""
    return pa.ipc.open_stream(data).read_all()


def _write(file: pa.NativeFile, rows: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(file, rows.schema, options=options) as stream:
        stream.write_table(rows)


class PartitionedTable:
    """A table by partition; what is more than `max_bytes` lies in temporary files.

    Args:
        directory: Where to make the files.
        head: The table without its rows.
        num_partitions: How many there are.
        max_bytes: How much to hold in memory.
    """

    def __init__(self, directory: str, head: pd.DataFrame, num_partitions: int,
                 max_bytes: int = _MAX_BYTES) -> None:
        self._directory = directory
        self._head = head
        self._num_partitions = num_partitions
        self._max_bytes = max_bytes
        self._held: list[tuple[pa.Table, np.ndarray]] = []

    def add(self, table: pd.DataFrame, partitions: np.ndarray) -> None:
        """Adds some rows, each to its partition."""
        self._held.append(_sorted(table, partitions, self._num_partitions))
        if sum(rows.nbytes for rows, _ in self._held) > self._max_bytes:
            self._spill()

    def pop(self, partition: int) -> pd.DataFrame:
        """Takes the rows of a partition out."""
        path = self._path(partition)
        pieces = []
        if os.path.exists(path):
            with pa.OSFile(path) as file:
                while file.tell() < file.size():
                    pieces.append(pa.ipc.open_stream(file).read_all())
            os.remove(path)
        return join(pieces + self._held_of(partition), self._head)

    def _held_of(self, partition: int) -> list[pa.Table]:
        return [rows.slice(begins[partition], begins[partition + 1] - begins[partition])
                for rows, begins in self._held]

    def _spill(self) -> None:
        """Appends what is held of every partition to its file, one stream of batches each."""
        os.makedirs(self._directory, exist_ok=True)
        for partition in range(self._num_partitions):
            with pa.OSFile(self._path(partition), "ab") as file:
                for rows in self._held_of(partition):
                    _write(file, rows)
        self._held.clear()

    def _path(self, partition: int) -> str:
        return os.path.join(self._directory, f"{partition:05d}.arrow")
