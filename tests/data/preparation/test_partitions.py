import os

import numpy as np
import pandas as pd
import pytest

from dtrn_tf.data.preparation.partitions import (
    PartitionedTable, join, partition_of_rows, split_by_partition,
)
from dtrn_tf.errors import DataError


def frames():
    """Batches whose types differ where values are missing, as files have them."""
    return [pd.DataFrame({"user": [3, 5, 7, 3], "n": [1, 2, 3, 4], "t": ["a", None, "c", "d"],
                          "ids": [[1], [], [2, 3], [4]]}),
            pd.DataFrame({"user": [5, 3], "n": [5.0, None], "t": [None, None],
                          "ids": [[5], [6, 7]]})]


def test_the_partition_is_the_same_everywhere_and_for_ever():
    """These values are part of the format: a change writes other files for the same seed."""
    users = pd.DataFrame({"user": np.arange(12), "name": [f"user {i}" for i in range(12)]})
    assert partition_of_rows(users, "users", "user", 5, seed=1).tolist() == [
        4, 0, 1, 3, 0, 3, 4, 3, 0, 3, 0, 2]
    assert partition_of_rows(users, "users", "name", 5, seed=1).tolist() == [
        2, 0, 4, 3, 3, 0, 2, 4, 0, 4, 3, 1]
    # A column with missing values elsewhere is one of floats.
    floats = users.astype({"user": float})
    np.testing.assert_array_equal(partition_of_rows(floats, "users", "user", 5, seed=1),
                                  partition_of_rows(users, "users", "user", 5, seed=1))


def test_users_spread_evenly():
    users = pd.DataFrame({"user": np.arange(0, 70_000, 7)})
    for seed in (0, 1):
        counts = np.bincount(partition_of_rows(users, "users", "user", 10, seed))
        assert counts.min() > 900 and counts.max() < 1100
    first, second = (partition_of_rows(users, "users", "user", 10, seed) for seed in (0, 1))
    assert np.mean(first == second) == pytest.approx(0.1, abs=0.02)


def test_a_row_without_user(tmp_path):
    with pytest.raises(DataError, match="column 'user' of table `users` should have an id in"):
        partition_of_rows(pd.DataFrame({"user": ["a", None]}), "users", "user", 3, seed=0)


@pytest.mark.parametrize("max_bytes", [0, 10**9])
def test_a_partitioned_table_gives_every_row_back(tmp_path, max_bytes):
    head = frames()[0].iloc[:0]
    table = PartitionedTable(str(tmp_path / "t"), head, 3, max_bytes)
    for frame in frames():
        table.add(frame, (frame["user"] == 3).to_numpy() * 2)
    assert os.path.exists(tmp_path / "t") == (max_bytes == 0)
    found = table.pop(2)
    assert found["user"].tolist() == [3, 3, 3] and found["n"].tolist()[:2] == [1, 4]
    assert np.isnan(found["n"][2]) and found["t"].tolist()[:2] == ["a", "d"]
    assert [list(ids) for ids in found["ids"]] == [[1], [4], [6, 7]]
    assert table.pop(0)["user"].tolist() == [5, 7, 5]
    empty = table.pop(1)
    assert len(empty) == 0 and list(empty) == list(head)
    assert not os.path.exists(tmp_path / "t") or not any(
        name.startswith(("00000", "00002")) for name in os.listdir(tmp_path / "t"))


def test_large_ids_beside_missing_numbers_stay_exact():
    big = 2**60 + 1
    frames = [pd.DataFrame({"id": [big, big + 1]}), pd.DataFrame({"id": [big + 2]})]
    pieces = [piece for frame in frames
              for _, piece in split_by_partition(frame, np.zeros(len(frame), int))]
    assert join(pieces, frames[0])["id"].tolist() == [big, big + 1, big + 2]


def test_pieces_of_some_partitions():
    pieces = dict(split_by_partition(frames()[0], np.array([4, 1, 4, 4])))
    assert {p: piece.column("n").to_pylist() for p, piece in pieces.items()} == {
        1: [2], 4: [1, 3, 4]}
    assert not list(split_by_partition(frames()[0].iloc[:0], np.zeros(0, int)))
