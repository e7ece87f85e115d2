"""Taobao UserBehavior: events of a shop, in the official CSV layout or as Parquet tables.

Official layout: `UserBehavior.csv` without a header: user, item, category, type, time in seconds.
Parquet layout: `interactions.parquet` and `items.parquet`.

Reference: "User Behavior Data from Taobao for Recommendation",
https://tianchi.aliyun.com/dataset/649.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Part, Source
from dtrn_tf.data.preparation.table_files import file_parts, num_rows
from dtrn_tf.errors import DataError

OFFICIAL_LOG = "UserBehavior.csv"
_OFFICIAL_COLUMNS = ("user_id", "item_id", "category_id", "behavior", "timestamp")
# The official nine days, 2017-11-25 to 12-03 at UTC+8, in ms. The file also holds some 0.05 % of
# rows with times before and after, decades in part.
_BEGIN, _END = 1_511_539_200_000, 1_512_316_800_000


def load_taobao(spec: PrepareSpec, directory: str) -> Source:
    """Opens either layout as the same tables.

    Tables: interactions (user_id, item_id, timestamp in ms, behavior: pv, cart, fav or buy) of the
    official nine days, and items (item_id, category_id: the first one if there are several).

    Raises:
        DataError: Neither layout is there, or a file or column is missing.
    """
    path = os.path.join(directory, OFFICIAL_LOG)
    if os.path.exists(path):
        return official_source(path, spec.needed_columns("interactions"))
    path = os.path.join(directory, "interactions.parquet")
    if not os.path.exists(path):
        raise DataError(f"{directory}: should hold Taobao UserBehavior as the official "
                        f"{OFFICIAL_LOG}, or as interactions.parquet and items.parquet. Received: "
                        "neither. Get UserBehavior.csv.zip from "
                        "https://tianchi.aliyun.com/dataset/649 and unpack it.")
    log = file_parts(path, spec.needed_columns("interactions"))
    return Source(
        interactions=log, num_rows=num_rows(log),
        items=file_parts(os.path.join(directory, "items.parquet"), spec.needed_columns("items")))


def official_source(path: str, columns: tuple[str, ...]) -> Source:
    """Opens the official file, with some columns of its interactions."""
    log = file_parts(path, columns, header=_OFFICIAL_COLUMNS, finish=_official_days)
    items = file_parts(path, ("item_id", "category_id", "timestamp"), header=_OFFICIAL_COLUMNS,
                       finish=_official_days)
    return Source(interactions=log, items=(_Items(items),), num_rows=num_rows(log))


def _official_days(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(timestamp=table["timestamp"] * 1000)
    return table[table["timestamp"].between(_BEGIN, _END, inclusive="left")]


@dataclass(frozen=True)
class _Items:
    """Every item of a log once."""

    log: tuple[Part, ...]

    def __call__(self) -> Iterator[pd.DataFrame]:
        items = pd.DataFrame({"item_id": [], "category_id": []}, dtype="int64")
        for part in self.log:
            for table in part():
                items = pd.concat([items, table[["item_id", "category_id"]]])
                items = items.drop_duplicates("item_id", ignore_index=True)
        yield items
