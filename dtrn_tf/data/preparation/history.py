"""What a user did before each of their events: windows, counts and gaps of strictly past events.

Pure functions over one user's events, sorted by time. Several users' events can be given at once
(users one after the other, `users` naming each row's user): the result is that of each user alone.
Only events strictly before a row count for it; events at the same instant do not see one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtrn_tf.data.preparation.ragged import flat_ranges

# Time of an event that happened before all timed ones, nobody knows when.
UNKNOWN_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, kw_only=True)
class PastWindows:
    """For each row, the newest strictly past events of one behaviour: `events[start:end]`.

    Args:
        events: Rows at which the behaviour occurred, oldest first.
        starts: Per row, where its window into `events` begins.
        ends: Per row, where it ends; the newest event stands at `end - 1`.
    """

    events: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def take(self, rows: np.ndarray) -> PastWindows:
        """The windows of some rows only."""
        return PastWindows(events=self.events, starts=self.starts[rows], ends=self.ends[rows])

    def flat(self) -> np.ndarray:
        """All windows one after the other, as rows of events."""
        return self.events[self.flat_positions()]

    def flat_positions(self) -> np.ndarray:
        """All windows one after the other, as positions in `events`."""
        return flat_ranges(self.starts, self.lengths)

    @property
    def lengths(self) -> np.ndarray:
        return self.ends - self.starts


def past_windows(
    times: np.ndarray,
    occurred: np.ndarray,
    max_length: int,
    users: np.ndarray | None = None,
) -> PastWindows:
    """Finds each row's newest `max_length` strictly past events of one behaviour.

    Args:
        times: [N] sorted (within each user).
        occurred: [N] bool, whether the row is an event of the behaviour.
        max_length: Longer histories keep their newest events.
        users: [N] the user of each row, equal users side by side; None for one user.

    Raises:
        ValueError: The times are not sorted.

    >>> windows = past_windows(np.array([1, 2, 2, 5]), np.array([True, True, False, True]), 9)
    >>> [windows.events[s:e].tolist() for s, e in zip(windows.starts, windows.ends)]
    [[], [0], [0], [0, 1]]
    """
    before = np.concatenate([[0], np.cumsum(occurred)])  # Events of the behaviour before a row.
    ends = before[_first_of_instant(times, users)]
    oldest = before[_first_of_user(len(times), users)]
    return PastWindows(events=np.flatnonzero(occurred), ends=ends,
                       starts=np.maximum(ends - max_length, oldest))


def past_counts(
    times: np.ndarray, occurred: np.ndarray, users: np.ndarray | None = None
) -> np.ndarray:
    """Counts each row's strictly past events of one behaviour; arguments of `past_windows`.

    >>> past_counts(np.array([1, 2, 2, 5]), np.array([True, True, False, True])).tolist()
    [0, 1, 1, 2]
    """
    return past_windows(times, occurred, len(times), users).lengths


def past_gaps(times: np.ndarray, users: np.ndarray | None = None) -> np.ndarray:
    """Time since the user's previous strictly earlier event; -1 without one of known time.

    >>> past_gaps(np.array([1, 2, 2, 5])).tolist()
    [-1, 1, 1, 3]
    """
    first = _first_of_instant(times, users)
    has_past = first > _first_of_user(len(times), users)
    previous = times[np.maximum(first - 1, 0)]
    known = has_past & (previous != UNKNOWN_TIME)
    return np.where(known, times - np.where(known, previous, times), -1)


def window_ages(times: np.ndarray, windows: PastWindows, rows: np.ndarray) -> np.ndarray:
    """Age of every event of the windows (flat) when its row happens; -1 where unknown.

    Args:
        times: [N] as given to `past_windows`.
        windows: The windows of `rows` (`PastWindows.take`).
        rows: The rows the windows belong to.
    """
    then = times[windows.flat()]
    now = np.repeat(times[rows], windows.lengths)
    known = then != UNKNOWN_TIME
    return np.where(known, now - np.where(known, then, now), -1)


def _first_of_user(num_rows: int, users: np.ndarray | None) -> np.ndarray:
    """For each row the first row of its user."""
    if users is None:
        return np.zeros(num_rows, np.int64)
    return _first_of_run(_differs(users))


def _first_of_instant(times: np.ndarray, users: np.ndarray | None) -> np.ndarray:
    """For each row the first row of its user with the same time."""
    new_user = np.zeros(len(times), bool) if users is None else _differs(users)
    if np.any((times[1:] < times[:-1]) & ~new_user[1:]):
        raise ValueError("`times` should be sorted within each user, oldest first. "
                         "Received: a time before its predecessor's.")
    return _first_of_run(_differs(times) | new_user)


def _differs(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])


def _first_of_run(begins: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
