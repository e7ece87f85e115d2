"""A made-up log of a short-video feed in KuaiRand's tables, of any size."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

# As in the 14 days of KuaiRand-Pure.
ROWS_PER_USER = 9
_ITEMS = 7_500
_RATES = {"is_click": 0.45, "long_view": 0.32, "is_like": 0.017, "is_follow": 0.001,
          "is_comment": 0.003, "is_forward": 0.001, "is_profile_enter": 0.019}
_USER_RANGES = ("follow_user_num_range", "fans_user_num_range", "friend_user_num_range",
                "register_days_range")
# 2022-04-25 at UTC+8, and two weeks from there.
_BEGIN_MS, _LENGTH_MS = 1_650_816_000_000, 14 * 86_400_000
# Rows that are made and written at a time.
_BATCH = 1 << 17


def write_watch_log(directory: str, rows: int, seed: int = 0) -> None:
    """Writes interactions in the order of time, users, items and what users saw before.

    Args:
        directory: Gets `interactions.parquet`, `users.parquet`, `items.parquet` and
            `prehistory.parquet`, which source `kuairand` of the prepare spec reads.
        rows: Impressions; there is one user for nine.
        seed: Equal seeds give equal tables.
    """
    random = np.random.default_rng(seed)
    users = max(1, rows // ROWS_PER_USER)
    os.makedirs(directory, exist_ok=True)
    _write(directory, "items", [_items(random)])
    for table, make in (("users", _users), ("prehistory", _prehistory)):
        _write(directory, table, (make(random, np.arange(begin, min(begin + _BATCH, users)))
                                  for begin in range(0, users, _BATCH)))
    _write(directory, "interactions", (
        _interactions(random, np.arange(begin, min(begin + _BATCH, rows)), rows, users)
        for begin in range(0, rows, _BATCH)))


def _interactions(
    random: np.random.Generator, index: np.ndarray, rows: int, users: int
) -> pd.DataFrame:
    count = len(index)
    times = _BEGIN_MS + index * (_LENGTH_MS / rows) + random.integers(1000, size=count)
    feedback = {name: (random.random(count) < rate).astype(np.int8)
                for name, rate in _RATES.items()}
    return pd.DataFrame({
        "user_id": random.integers(users, size=count), "item_id": _popular(random, count),
        "timestamp": times.astype(np.int64), "tab": random.integers(15, size=count),
        "duration_ms": random.integers(5_000, 300_000, count), **feedback})


def _popular(random: np.random.Generator, count: int) -> np.ndarray:
    return (_ITEMS * random.random(count) ** 2).astype(np.int64)


def _users(random: np.random.Generator, users: np.ndarray) -> pd.DataFrame:
    def numbers(most: int) -> np.ndarray:
        return random.integers(most, size=len(users))

    ranges = {name: random.choice(["0", "[1,10)", "[10,100)", "100+"], len(users))
              for name in _USER_RANGES}
    return pd.DataFrame({
        "user_id": users, "user_active_degree": random.choice(["full_active", "UNKNOWN"],
                                                              len(users)),
        "is_live_streamer": numbers(2), "is_video_author": numbers(2), **ranges,
        **{f"onehot_feat{i}": numbers(2 + 20 * i) for i in range(18)}})


def _items(random: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({
        "item_id": np.arange(_ITEMS), "author_id": random.integers(6_000, size=_ITEMS),
        "video_type": "NORMAL", "upload_dt": random.choice(["2022-04-09", "2022-04-10"], _ITEMS),
        "upload_type": random.choice(["Web", "Kmovie"], _ITEMS),
        "music_type": random.integers(10, size=_ITEMS), "server_width": 720,
        "server_height": 1280, "tag": random.integers(60, size=_ITEMS).astype(str)})


def _prehistory(random: np.random.Generator, users: np.ndarray) -> pd.DataFrame:
    exposed = random.integers(1, 51, len(users))

    def lists(lengths: np.ndarray) -> list[np.ndarray]:
        return np.split(_popular(random, int(lengths.sum())), np.cumsum(lengths)[:-1])

    return pd.DataFrame({
        "user_id": users, "n_exposed_before": 3 * exposed,
        "last_timestamp": _BEGIN_MS - random.integers(1, _LENGTH_MS, len(users)),
        "exposed_seq": lists(exposed), "long_view_seq": lists(exposed // 2),
        "like_seq": lists(exposed // 40)})


def _write(directory: str, name: str, frames: Iterable[pd.DataFrame]) -> None:
    writer = None
    for frame in frames:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pa.parquet.ParquetWriter(
            os.path.join(directory, f"{name}.parquet"), table.schema)
        writer.write_table(table)
    assert writer is not None  # There is at least one row.
    writer.close()
