"""What is known of users before their first timed event, as events and as totals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.columns import key_ids, lookup, to_milliseconds
from dtrn_tf.data.preparation.history import UNKNOWN_TIME
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.errors import DataError


@dataclass(frozen=True, kw_only=True)
class PrehistoryEvents:
    """Events without a time (the newest of each list only) and totals per user.

    Args:
        users: [N] position of each event's user among the known users.
        items: [N] item ids.
        behaviors: [N] the one behaviour each event belongs to.
        counts: Per behaviour, the number of events of each known user.
        known: Behaviours the table tells something of.
        last_times: Time in ms of each user's newest event, or UNKNOWN_TIME.
    """

    users: np.ndarray
    items: np.ndarray
    behaviors: np.ndarray
    counts: dict[str, np.ndarray]
    known: frozenset[str]
    last_times: np.ndarray


def prehistory_events(
    table: pd.DataFrame | None, spec: PrepareSpec, users: np.ndarray, item_dtype: np.dtype
) -> PrehistoryEvents:
    """Lays the lists of a prehistory table out as events.

    Args:
        table: One row per user, or None.
        spec: Says which columns hold what.
        users: The users that matter, sorted.
        item_dtype: Type of item ids.

    Raises:
        DataError: A column does not hold lists.
    """
    known = spec.prehistory
    counts = {behavior: np.zeros(len(users), np.int64) for behavior in spec.behaviors}
    last_times = np.full(len(users), UNKNOWN_TIME)
    if table is None or known is None:
        return PrehistoryEvents(
            users=np.zeros(0, np.int64), items=np.zeros(0, item_dtype), behaviors=np.zeros(0, "U1"),
            counts=counts, known=frozenset(), last_times=last_times)
    table = table[table[spec.columns.user].isin(users)]
    position = lookup(users, key_ids(table, spec.columns.user, "prehistory"),
                      f"column {spec.columns.user!r} of table `prehistory`")
    if known.last_time:
        last_times[position] = to_milliseconds(table[known.last_time], spec.columns)
    limits = {s.behavior: s.max_length for s in spec.sequences}
    parts = []
    for behavior, column in known.lists.items():
        lists = _lists(table[column], item_dtype)
        counts[behavior][position] = [len(ids) for ids in lists]
        newest = [ids[-limits[behavior]:] for ids in lists if behavior in limits]
        parts.append((np.repeat(position[:len(newest)], [len(ids) for ids in newest]),
                      np.concatenate([np.zeros(0, item_dtype), *newest]), behavior))
    for behavior, column in known.counts.items():
        counts[behavior][position] = table[column].to_numpy()
    return PrehistoryEvents(
        users=np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)]),
        items=np.concatenate([np.zeros(0, item_dtype), *(part[1] for part in parts)]),
        behaviors=np.repeat([part[2] for part in parts], [len(part[0]) for part in parts]),
        counts=counts, known=frozenset(counts) & {*known.lists, *known.counts},
        last_times=last_times)


def _lists(column: pd.Series, item_dtype: np.dtype) -> list[np.ndarray]:
    for value in column:
        if not isinstance(value, (list, tuple, np.ndarray)):
            raise DataError(f"column {column.name!r} of table `prehistory` should hold lists of "
                            f"item ids. Received: {value!r:.100}. Write the table as Parquet.")
    return [np.asarray(ids, item_dtype) for ids in column]
