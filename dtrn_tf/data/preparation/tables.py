"""Interaction logs as tables: what they need to hold, and rows that say the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec


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


def needed_columns(spec: PrepareSpec, table: str) -> tuple[str, ...]:
    """Columns that the spec needs of a table."""
    if table != "prehistory":
        return spec.needed_columns(table)
    known = spec.prehistory
    if known is None:
        return (spec.columns.user,)
    last_time = (known.last_time,) if known.last_time else ()
    return (spec.columns.user, *known.lists.values(), *known.counts.values(), *last_time)


def merge_duplicates(tables: Tables, spec: PrepareSpec) -> Tables:
    """Merges log rows of the same user, item and time: the maximum of feedback, else the first.

    The first in the order of the other columns' values: the order of the log changes nothing.
    """
    log = tables.interactions
    keys = list(spec.key_columns)
    doubled = log.duplicated(keys, keep=False)
    if not doubled.any():
        return tables
    others = [c for c in log if c not in keys and c not in spec.feedback_columns]
    ordered = log[doubled].sort_values(others or keys, kind="stable", key=_sortable)
    rules = {c: "max" if c in spec.feedback_columns else "first" for c in log if c not in keys}
    merged = ordered.groupby(keys, as_index=False, sort=False, dropna=False).agg(rules)
    return replace(tables, interactions=pd.concat([log[~doubled], merged[list(log.columns)]],
                                                  ignore_index=True))


def _sortable(column: pd.Series) -> pd.Series:
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(str)
