"""KuaiRand: logs of a short-video feed, in the official CSV layout or as Parquet tables.

Official layout of KuaiRand-Pure (KuaiRand-1K has `1k` for `pure`), together in one directory:
`log_standard_4_08_to_4_21_pure.csv`, `log_standard_4_22_to_5_08_pure.csv`,
`user_features_pure.csv`, `video_features_basic_pure.csv`. Parquet layout: `interactions.parquet`,
`users.parquet`, `items.parquet` and, optionally, `prehistory.parquet` with each user's last videos
before the log.

Reference: Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly
Exposed Videos", CIKM 2022, https://kuairand.com.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.data.preparation.table_files import FilePart, file_parts, num_rows
from dtrn_tf.errors import DataError

EDITIONS = ("pure", "1k")
_OFFICIAL_FILES = {
    "interactions": ("log_standard_4_08_to_4_21_{}.csv", "log_standard_4_22_to_5_08_{}.csv"),
    # Shown at random, not by the standard policy; the builder of TFDS has them too.
    "random": ("log_random_4_22_to_5_08_{}.csv",),
    "users": ("user_features_{}.csv",),
    "items": ("video_features_basic_{}.csv",),
}
# Names in our tables -> names in the official files.
_OFFICIAL_NAMES = {"item_id": "video_id", "timestamp": "time_ms"}
_PREHISTORY_LISTS = {"exposed": "exposed_seq", "long_view": "long_view_seq", "like": "like_seq"}
# The lists of the prehistory hold at most this many videos.
_LIST_LIMIT = 50


def load_kuairand(spec: PrepareSpec, directory: str) -> Source:
    """Opens either layout as the same tables.

    Tables: interactions (user_id, item_id, timestamp in ms, ...), users, items and, if the file
    is there, prehistory (user_id, exposed_seq, long_view_seq, like_seq, and the number of each:
    exposed_count, long_view_count, like_count; last_timestamp).

    Raises:
        DataError: Neither layout is there, or a file or column is missing.
    """
    if os.path.exists(os.path.join(directory, "interactions.parquet")):
        return _load_parquet(spec, directory)
    for edition in EDITIONS:
        logs = official_files("interactions", edition)
        if any(os.path.exists(os.path.join(directory, log)) for log in logs):
            return _load_official(spec, directory, edition)
    raise DataError(f"{directory}: should hold KuaiRand as interactions.parquet, or as the "
                    f"official {official_files('interactions', 'pure')[0]} and others. Received: "
                    "neither file. Get KuaiRand-Pure from https://kuairand.com and point "
                    "--source_dir at its `data` directory.")


def official_files(table: str, edition: str) -> tuple[str, ...]:
    """Names of the official files that hold a table.

    >>> official_files("users", "1k")
    ('user_features_1k.csv',)
    """
    return tuple(name.format(edition) for name in _OFFICIAL_FILES[table])


def official_parts(
    directory: str, table: str, edition: str, columns: Collection[str]
) -> tuple[FilePart, ...]:
    """Some columns of a table in the official layout, under the names of our tables.

    Raises:
        DataError: A file or column is missing.
    """
    return tuple(part for name in official_files(table, edition)
                 for part in file_parts(os.path.join(directory, name), columns, _OFFICIAL_NAMES))


def _load_parquet(spec: PrepareSpec, directory: str) -> Source:
    def parts(table: str) -> tuple[FilePart, ...]:
        return file_parts(os.path.join(directory, f"{table}.parquet"), spec.needed_columns(table))

    log = parts("interactions")
    path = os.path.join(directory, "prehistory.parquet")
    return Source(interactions=log, users=parts("users"), items=parts("items"),
                  prehistory=_prehistory_parts(path) if os.path.exists(path) else (),
                  num_rows=num_rows(log))


def _load_official(spec: PrepareSpec, directory: str, edition: str) -> Source:
    def parts(table: str) -> tuple[FilePart, ...]:
        return official_parts(directory, table, edition, spec.needed_columns(table))

    log = parts("interactions")
    return Source(interactions=log, users=parts("users"), items=parts("items"),
                  num_rows=num_rows(log))


def _prehistory_parts(path: str) -> tuple[FilePart, ...]:
    return file_parts(
        path, ("user_id", "n_exposed_before", "last_timestamp", *_PREHISTORY_LISTS.values()),
        finish=_with_counts)


def _with_counts(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{f"{behavior}_count": _event_counts(table, column)
                           for behavior, column in _PREHISTORY_LISTS.items()})


def _event_counts(table: pd.DataFrame, column: str) -> np.ndarray:
    """How often a behaviour happened; a full list is cut, so its count is taken from the share
    of the listed exposures."""
    exposures = table["n_exposed_before"].to_numpy()
    listed = table[column].str.len().to_numpy()
    if column == _PREHISTORY_LISTS["exposed"]:
        return exposures
    counts = listed.copy()
    for row in np.flatnonzero(listed >= _LIST_LIMIT):
        exposed = table[_PREHISTORY_LISTS["exposed"]].iloc[row]
        share = np.isin(exposed, table[column].iloc[row]).mean()
        counts[row] = max(listed[row], round(share * exposures[row]))
    return counts
