"""Items that a user was not seen with, as negatives for logs that hold positives only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.columns import key_ids, local_days, lookup, to_milliseconds
from dtrn_tf.data.preparation.prepare_spec import Negatives, PrepareSpec

_KEYS = ["day", "item"]


def count_item_days(interactions: pd.DataFrame, spec: PrepareSpec) -> pd.DataFrame:
    """How often each item stands in (a part of) the log on each local day.

    Args:
        interactions: Rows of the log, in any order.
        spec: Names its key columns.

    Returns:
        Columns day (days since 1970-01-01), item, count; sorted by day and item.

    Raises:
        DataError: An item or time is missing.
    """
    days = local_days(to_milliseconds(interactions[spec.columns.time], spec.columns), spec.columns)
    items = key_ids(interactions, spec.columns.item, "interactions")
    return merge_item_days([pd.DataFrame({"day": days, "item": items, "count": 1})])


def merge_item_days(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Adds up what `count_item_days` counted in several parts of the log.

    >>> part = pd.DataFrame({"day": [3, 2], "item": [7, 7], "count": [1, 2]})
    >>> merge_item_days([part, part]).to_dict("list")
    {'day': [2, 3], 'item': [7, 7], 'count': [4, 2]}
    """
    return pd.concat(list(parts)).groupby(_KEYS, as_index=False)["count"].sum()


def sample_items(
    users: np.ndarray,
    items: np.ndarray,
    days: np.ndarray,
    is_impression: np.ndarray,
    item_days: pd.DataFrame,
    negatives: Negatives,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws items against impressions, a user's draws from a random stream of its own.

    Args:
        users: [N] user of each row of the log, equal ones side by side; all rows of each user.
        items: [N] item of each row.
        days: [N] local day of each row.
        is_impression: [N] whether items are to be drawn against the row.
        item_days: What `merge_item_days` gives of the whole log.
        negatives: How to draw.

    Returns:
        Rows against which items were drawn (ascending, repeated), and these items.

    Raises:
        DataError: The ids of items are not of one type.
    """
    catalogue = np.unique(item_days["item"].to_numpy())
    rows = np.flatnonzero(is_impression)
    drawn = _draw(days[rows], _uniform(users, rows, negatives),
                  item_days["day"].to_numpy(),
                  np.searchsorted(catalogue, item_days["item"].to_numpy()),
                  item_days["count"].to_numpy(), len(catalogue), negatives.power)
    seen = lookup(catalogue, items, "`item_days`")
    user_numbers = pd.factorize(users)[0]
    possible = (drawn >= 0) & _is_first_in_row(drawn) & ~_was_seen(
        user_numbers[rows], drawn, days[rows], user_numbers, seen, days, len(catalogue))
    taken = possible & (np.cumsum(possible, axis=1) <= negatives.per_positive)
    which, draw = np.nonzero(taken)
    return rows[which], catalogue[drawn[which, draw]]


def _uniform(users: np.ndarray, rows: np.ndarray, negatives: Negatives) -> np.ndarray:
    """[M, draws] numbers in [0, 1): of each user the next ones of its own stream."""
    own = users[rows]
    starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))[:len(own)]
    hashes = pd.util.hash_array(own[starts], categorize=False)
    numbers = [np.random.default_rng([negatives.seed, user]).random((n, negatives.num_draws))
               for user, n in zip(hashes.tolist(), np.diff(starts, append=len(own)).tolist())]
    return np.concatenate([np.zeros((0, negatives.num_draws)), *numbers])


def _draw(
    days: np.ndarray, uniform: np.ndarray, count_days: np.ndarray, items: np.ndarray,
    counts: np.ndarray, num_items: int, power: float,
) -> np.ndarray:
    """[M, draws] items known before each row's day; -1 where none is."""
    drawn = np.full(uniform.shape, -1)
    total = np.zeros(num_items)
    begin = 0
    order = np.argsort(days, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(days[order])) + 1):
        end = np.searchsorted(count_days, days[rows[:1]]).sum()  # Strictly earlier days.
        np.add.at(total, items[begin:end], counts[begin:end])
        begin = end
        known = np.flatnonzero(total)
        if len(known):
            edges = np.cumsum(total[known] ** power)
            at = np.searchsorted(edges, uniform[rows] * edges[-1], side="right")
            drawn[rows] = known[np.minimum(at, len(known) - 1)]
    return drawn


def _is_first_in_row(drawn: np.ndarray) -> np.ndarray:
    """Whether an item was not drawn before in its row."""
    order = np.argsort(drawn, axis=1, kind="stable")
    ordered = np.take_along_axis(drawn, order, axis=1)
    new = np.ones(drawn.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = np.empty_like(new)
    np.put_along_axis(first, order, new, axis=1)
    return first


def _was_seen(
    drawn_users: np.ndarray, drawn: np.ndarray, drawn_days: np.ndarray,
    users: np.ndarray, items: np.ndarray, days: np.ndarray, num_items: int,
) -> np.ndarray:
    """Whether the log holds user and item together until the end of the day."""
    order = np.lexsort([days, users * num_items + items])
    pairs, first = np.unique((users * num_items + items)[order], return_index=True)
    if not len(pairs):
        return np.zeros(drawn.shape, bool)
    wanted = drawn_users[:, None] * num_items + drawn
    at = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return (pairs[at] == wanted) & (days[order][first][at] <= drawn_days[:, None])
