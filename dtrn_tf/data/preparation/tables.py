"""Interaction logs as tables: reading, merging duplicates, cutting into chunks of users."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dtrn_tf.data.preparation.prepare_spec import Columns, PrepareSpec
from dtrn_tf.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Tables:
    """One log, or some users of it.

    Args:
        interactions: One row per impression: user, item, time, context and feedback columns.
        users: One row per user; may be None.
        items: One row per item; may be None.
        prehistory: One row per user, see `prepare_spec.Prehistory`; may be None.
        item_days: How often each item stands on each local day in the whole log, see
            `negatives.count_item_days`; to sample negatives.
    """

    interactions: pd.DataFrame
    users: pd.DataFrame | None = None
    items: pd.DataFrame | None = None
    prehistory: pd.DataFrame | None = None
    item_days: pd.DataFrame | None = None


def load_tables(spec: PrepareSpec, directory: str) -> Tables:
    """Reads the generic tables that the spec names, Parquet or CSV.

    Raises:
        DataError: A file or column is missing.
    """
    if "interactions" not in spec.tables:
        raise DataError("`tables` of the prepare spec should name the file of `interactions` for "
                        f"source 'tables'. Received: {sorted(spec.tables)}.")
    return Tables(**{
        table: read_table(os.path.join(directory, file), needed_columns(spec, table))
        for table, file in spec.tables.items()
    })


def needed_columns(spec: PrepareSpec, table: str) -> tuple[str, ...]:
    """Columns that the spec needs of a table."""
    if table != "prehistory":
        return spec.needed_columns(table)
    known = spec.prehistory
    if known is None:
        return (spec.columns.user,)
    last_time = (known.last_time,) if known.last_time else ()
    return (spec.columns.user, *known.lists.values(), *known.counts.values(), *last_time)


def read_table(
    path: str, columns: Collection[str], renames: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Reads the named columns of a Parquet or CSV file.

    Args:
        path: File that ends in `.parquet`, `.csv` or `.csv.gz`.
        columns: Columns of the result.
        renames: Column of the result -> column of the file, where they differ.

    Raises:
        DataError: The file is missing or unreadable, or a column is missing.
    """
    renames = renames or {}
    in_file = {renames.get(column, column): column for column in columns}
    try:
        present = _column_names(path)
        missing = sorted(set(in_file) - set(present))
        if missing:
            raise DataError(f"{path}: should have the columns {missing}. Received: {present}. "
                            "Mend the file, or the column names in the prepare spec.")
        table = _read_columns(path, list(in_file))
    except OSError as error:
        raise DataError(f"{path}: should be a readable Parquet or CSV file. Received: "
                        f"{error.strerror or error}. Put it there, or mend --source_dir or the "
                        "prepare spec.") from error
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: should be a whole Parquet or CSV file. Received: {error}. "
                        "Fetch or write it again.") from error
    return table.to_pandas().rename(columns=in_file)


def _column_names(path: str) -> list[str]:
    if path.endswith(".parquet"):
        return list(pa.parquet.read_schema(path).names)
    with pa.csv.open_csv(path) as reader:
        return list(reader.schema.names)


def _read_columns(path: str, columns: list[str]) -> pa.Table:
    if path.endswith(".parquet"):
        return pa.parquet.read_table(path, columns=columns)
    return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(include_columns=columns))


def merge_duplicates(tables: Tables, spec: PrepareSpec) -> Tables:
    """Merges log rows of the same user, item and time: the maximum of feedback, else the first."""
    log = tables.interactions
    keys = list(spec.key_columns)
    if not log.duplicated(keys).any():
        return tables
    rules = {c: "max" if c in spec.feedback_columns else "first" for c in log if c not in keys}
    merged = log.groupby(keys, as_index=False, sort=False, dropna=False).agg(rules)
    return replace(tables, interactions=merged[list(log.columns)])


def chunks_of_users(
    tables: Tables, columns: Columns, users_per_chunk: int, seed: int
) -> Iterator[Tables]:
    """Cuts a log into chunks of random users, each with all of its rows."""
    codes, users = pd.factorize(tables.interactions[columns.user], sort=True)
    chunk_of_user = np.random.default_rng(seed).permutation(len(users)) // users_per_chunk
    rows = _rows_by_group(chunk_of_user[codes])
    for chunk, interaction_rows in enumerate(rows):
        ids = users[chunk_of_user == chunk]
        yield replace(tables, interactions=tables.interactions.iloc[interaction_rows],
                      users=_of_users(tables.users, columns.user, ids),
                      prehistory=_of_users(tables.prehistory, columns.user, ids))


def _rows_by_group(groups: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _of_users(table: pd.DataFrame | None, user: str, ids: pd.Index) -> pd.DataFrame | None:
    return None if table is None else table[table[user].isin(ids)]
