"""Which impressions were shown together, in one request."""

from __future__ import annotations

import numpy as np

from dtrn_tf.data.preparation.columns import key_ids
from dtrn_tf.data.preparation.events import Events
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.errors import SchemaError


def first_impressions(events: Events, spec: PrepareSpec) -> np.ndarray:
    """The first impression of every impression's request, as the spec tells requests apart.

    Args:
        events: The log of some users.
        spec: Names the column with the request's id, or the window of time.

    Returns:
        [N] position among the impressions; ascending where requests do not overlap.

    Raises:
        DataError: An impression has no request id.
    """
    users = key_ids(events.log, spec.columns.user, "interactions")
    if spec.columns.request is not None:
        return first_by_id(users, key_ids(events.log, spec.columns.request, "interactions"))
    window_ms = round(1000 * (spec.request_window_seconds or 0.0))
    return first_by_window(users, events.times[events.shown], window_ms)


def check_requests_are_told(spec: PrepareSpec) -> None:
    """Raises SchemaError if the spec does not say what a request is."""
    if spec.columns.request is None and spec.request_window_seconds is None:
        raise SchemaError("the prepare spec should say what a request is, to write requests: "
                          "`columns.request` names a column with the request's id, or "
                          "`request_window_seconds` how long a request lasts. Received: neither.")


def first_by_id(users: np.ndarray, requests: np.ndarray) -> np.ndarray:
    """The first row with the same user and request id.

    >>> first_by_id(np.array([1, 1, 1, 2]), np.array(["a", "b", "a", "a"])).tolist()
    [0, 1, 0, 3]
    """
    user_codes = np.unique(users, return_inverse=True)[1]
    known, codes = np.unique(requests, return_inverse=True)
    _, first, inverse = np.unique(user_codes * len(known) + codes, return_index=True,
                                  return_inverse=True)
    return first[inverse]


def first_by_window(users: np.ndarray, times_ms: np.ndarray, window_ms: int) -> np.ndarray:
    """The first row of the same user from which at most `window_ms` have passed.

    The window begins at the first row of a request, and the next request at the first row after
    it: no row depends on what came later.

    Args:
        users: [N], equal users side by side.
        times_ms: [N], sorted within a user.
        window_ms: How long a request lasts.

    >>> first_by_window(np.array([1, 1, 1, 1, 2]), np.array([0, 6, 10, 11, 11]), 10).tolist()
    [0, 0, 0, 3, 4]
    """
    first = np.arange(len(users))
    begin, user, time = 0, None, 0
    for row, (next_user, next_time) in enumerate(zip(users.tolist(), times_ms.tolist())):
        if next_user != user or next_time - time > window_ms:
            begin, user, time = row, next_user, next_time
        first[row] = begin
    return first


def records_of_requests(rows: np.ndarray, first: np.ndarray, max_candidates: int) -> Ragged:
    """Some impressions in the records that hold them: one a request, longer requests in several.

    Args:
        rows: Positions of the impressions, ascending.
        first: [N] what `first_impressions` gives of all impressions.
        max_candidates: The most candidates of a record.

    >>> records_of_requests(np.array([0, 1, 2, 3, 5]), np.array([0, 1, 0, 0, 1, 1]), 2).lists()
    [[0, 2], [3], [1, 5]]
    """
    rows = rows[np.argsort(first[rows], kind="stable")]
    numbers = np.arange(len(rows))
    is_new = np.diff(first[rows], prepend=-1) != 0
    in_request = numbers - np.maximum.accumulate(np.where(is_new, numbers, 0))
    begins = np.flatnonzero(in_request % max_candidates == 0)
    return Ragged(values=rows, lengths=np.diff(begins, append=len(rows)))
