"""CI&T Deskdrop: events of a company's article platform, in the official CSV layout or as Parquet.

Official layout: `users_interactions.csv`. Parquet layout: `interactions.parquet`.

Reference: "Articles sharing and reading from CI&T DeskDrop",
https://www.kaggle.com/datasets/gspmoreira/articles-sharing-reading-from-cit-deskdrop.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.data.preparation.table_files import file_parts, num_rows
from dtrn_tf.errors import DataError

OFFICIAL_LOG = "users_interactions.csv"
# Names in our table -> names in the official file.
_OFFICIAL_NAMES = {
    "user_id": "personId", "item_id": "contentId", "behavior": "eventType",
    "session_id": "sessionId", "device": "userAgent", "region": "userRegion",
    "country": "userCountry"}


def load_deskdrop(spec: PrepareSpec, directory: str) -> Source:
    """Opens either layout as the same table.

    Table: interactions (user_id, item_id, timestamp in ms, behavior: view, like, bookmark, follow
    or comment; session_id, device: android, ios, desktop or unknown; country, region).

    Raises:
        DataError: Neither layout is there, or a column is missing.
    """
    columns = spec.needed_columns("interactions")
    parquet = os.path.join(directory, "interactions.parquet")
    official = os.path.join(directory, OFFICIAL_LOG)
    if os.path.exists(parquet):
        parts = file_parts(parquet, columns)
    elif os.path.exists(official):
        parts = file_parts(official, columns, _OFFICIAL_NAMES, finish=_from_official)
    else:
        raise DataError(f"{directory}: should hold Deskdrop as interactions.parquet, or as the "
                        f"official {OFFICIAL_LOG}. Received: neither file. Get it from "
                        "https://www.kaggle.com/datasets/gspmoreira/"
                        "articles-sharing-reading-from-cit-deskdrop.")
    return Source(interactions=parts, num_rows=num_rows(parts))


def _from_official(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(
        timestamp=table["timestamp"] * 1000,
        # "COMMENT CREATED" is the only type of two words.
        behavior=table["behavior"].str.lower().str.split(" ").str[0])
    return table.assign(device=device_of(table["device"])) if "device" in table else table


def device_of(agents: pd.Series) -> np.ndarray:
    """The device that a user agent names; the platform has an Android and an iOS app.

    >>> agents = ["Android - Native Mobile App", "iOS - Native Mobile App", "Mozilla/5.0 (X11)"]
    >>> device_of(pd.Series([*agents, None])).tolist()
    ['android', 'ios', 'desktop', 'unknown']
    """
    text = agents.fillna("").astype(str).str.lower()
    kinds = {"unknown": text == "", "android": text.str.contains("android"),
             "ios": text.str.contains(r"\bios\b|iphone|ipad")}
    return np.select(list(kinds.values()), list(kinds), default="desktop").astype(object)
