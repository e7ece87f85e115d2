"""All events of some users in order, and what each event's row may know about the past."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.buckets import log_bucket, rate_bucket
from dtrn_tf.data.preparation.columns import (
    encode, key_ids, local_hours, lookup, to_milliseconds, with_missing,
)
from dtrn_tf.data.preparation.history import (
    UNKNOWN_TIME, PastWindows, past_counts, past_gaps, past_windows, window_ages,
)
from dtrn_tf.data.preparation.log import read_log
from dtrn_tf.data.preparation.prehistory import prehistory_events
from dtrn_tf.data.preparation.prepare_spec import (
    RECENCY, Feature, PastStatistic, PrepareSpec, Sequence,
)
from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.errors import DataError

NUM_RECENCY_BUCKETS = 33


class Events:
    """Events of some users, sorted by user and time: prehistory first, then the log.

    A row of the log may be an event, an impression or both; sampled items are impressions that
    never happened, so no history holds them.

    Args:
        tables: The log of these users.
        spec: What the columns mean.

    Attributes:
        log: The impressions with their labels, in the order of the records.
        shown: Rows of the events that are impressions, in that order.
        times: [N] ms, UNKNOWN_TIME for prehistory.
    """

    def __init__(self, tables: Tables, spec: PrepareSpec) -> None:
        keys = spec.columns
        self._spec = spec
        self._tables = tables
        log = read_log(tables, spec)
        self._log = log.table
        self.log = self._log[log.is_impression] if spec.event_log else self._log
        user_ids = key_ids(self._log, keys.user, "interactions")
        item_ids = key_ids(self._log, keys.item, "interactions")
        self._known_users, log_users = np.unique(user_ids, return_inverse=True)
        before = prehistory_events(tables.prehistory, spec, self._known_users, item_ids.dtype)
        self._before = before
        num_before = len(before.users)
        users = np.concatenate([before.users, log_users])
        # Stable: prehistory, first in the concatenation, stays before the user's log.
        order = np.argsort(users, kind="stable")
        self._users = users[order]
        self._log_rows = np.where(order >= num_before, order - num_before, -1)
        self._items = np.concatenate([before.items, item_ids])[order]
        self.times = np.concatenate([np.full(num_before, UNKNOWN_TIME),
                                     to_milliseconds(self._log[keys.time], keys)])[order]
        self._occurred = {
            behavior: np.concatenate([before.behaviors == behavior, occurred])[order]
            for behavior, occurred in log.occurred(spec).items()
        }
        self._exposed = log.is_real_impression
        self._timed = np.flatnonzero(order >= num_before)
        self.shown = self._timed[log.is_impression]

    def feature(self, feature: Feature, rows: np.ndarray) -> np.ndarray:
        """The feature's value at some rows; missing where the tables do not know it."""
        keys = self._spec.columns
        if feature is self._spec.item_feature:
            return self._items[rows]
        if feature.kind == "hour":
            return local_hours(self.times[rows], keys)
        table: pd.DataFrame | None
        if feature.table == "interactions":
            table, found = self._log, self._log_rows[rows]
        elif feature.table == "users":
            table = self._tables.users
            found = self._find(table, keys.user, self._known_users[self._users[rows]], feature)
        else:
            table = self._tables.items
            found = self._find(table, keys.item, self._items[rows], feature)
        assert table is not None
        return with_missing(encode(table[feature.column], feature), feature)[found]

    @staticmethod
    def _find(
        table: pd.DataFrame | None, key: str, ids: np.ndarray, feature: Feature
    ) -> np.ndarray:
        if table is None:
            raise DataError(f"feature {feature.name!r} needs the table `{feature.table}`. "
                            "Received: none. Name its file in `tables` of the prepare spec.")
        return lookup(key_ids(table, key, feature.table), ids,
                      f"column {key!r} of table `{feature.table}`")

    def statistic(self, statistic: PastStatistic) -> np.ndarray:
        """The statistic's bucket at every impression."""
        if statistic.kind == "gap":
            return log_bucket(self._gap_seconds(), statistic.resolution,
                              statistic.size)[self.shown]
        behavior = str(statistic.behavior)
        counts = self._past_counts(behavior)
        if statistic.kind == "count":
            return log_bucket(counts, statistic.resolution, statistic.size)
        return rate_bucket(counts, self._past_exposures(behavior), float(statistic.prior or 0.0),
                           statistic.strength, statistic.size)

    def _past_counts(self, behavior: str) -> np.ndarray:
        timed = self._timed_counts(self._occurred[behavior][self._timed])
        return timed + self._before.counts[behavior][self._users[self.shown]]

    def _past_exposures(self, behavior: str) -> np.ndarray:
        """Past impressions; prehistory's only where it tells how often the behaviour followed."""
        timed = self._timed_counts(self._exposed)
        if behavior not in self._before.known:
            return timed
        exposed = [self._before.counts[b] for b, feedback in self._spec.behaviors.items()
                   if not feedback and b in self._before.known]
        return timed + exposed[0][self._users[self.shown]] if exposed else timed

    def _timed_counts(self, occurred: np.ndarray) -> np.ndarray:
        """Counts of the log's strictly past rows for which `occurred` holds, at impressions."""
        counts = past_counts(self.times[self._timed], occurred, self._users[self._timed])
        return counts[self._log_rows[self.shown]]

    def _gap_seconds(self) -> np.ndarray:
        gaps = past_gaps(self.times, self._users)
        last = self._before.last_times[self._users]
        from_last = (gaps < 0) & (last != UNKNOWN_TIME) & (self._log_rows >= 0)
        gaps = np.where(from_last, self.times - np.where(from_last, last, 0), gaps)
        return np.where(gaps < 0, -1.0, gaps / 1000.0)

    def sequence(self, sequence: Sequence) -> dict[str, Ragged]:
        """The aligned lists of a behaviour sequence at every impression."""
        windows = self._windows(sequence.behavior, sequence.max_length)
        ours = windows.take(self.shown)
        lists = {}
        for feature in self._spec.side_features:
            is_item = feature is self._spec.item_feature
            if is_item or feature.name in sequence.sides:
                # One value per event of the behaviour, then repeated into the windows.
                values = self.feature(feature, windows.events)
                name = f"{sequence.behavior}_{'item' if is_item else feature.name}"
                lists[name] = Ragged(values=values[ours.flat_positions()], lengths=ours.lengths)
        if RECENCY in sequence.sides:
            ages = window_ages(self.times, ours, self.shown)
            lists[f"{sequence.behavior}_{RECENCY}"] = Ragged(values=recency_bucket(ages),
                                                             lengths=ours.lengths)
        return lists

    def event_times(self, sequence: Sequence) -> Ragged:
        """When the events of a sequence happened, UNKNOWN_TIME for prehistory."""
        ours = self._windows(sequence.behavior, sequence.max_length).take(self.shown)
        return Ragged(values=self.times[ours.flat()], lengths=ours.lengths)

    def newest_time(self, statistic: PastStatistic) -> Ragged:
        """When the newest event happened of which a statistic tells; an empty list for none."""
        if statistic.kind == "gap":
            newest = past_windows(self.times, np.ones(len(self.times), bool), 1, self._users)
        else:
            newest = self._windows(str(statistic.behavior), 1)
        ours = newest.take(self.shown)
        return Ragged(values=self.times[ours.flat()], lengths=ours.lengths)

    def _windows(self, behavior: str, max_length: int) -> PastWindows:
        return past_windows(self.times, self._occurred[behavior], max_length, self._users)


def recency_bucket(ages_ms: np.ndarray) -> np.ndarray:
    """0 for an unknown age, else 1 + floor(log2(1 + seconds)).

    >>> recency_bucket(np.array([-1, 0, 1000, 3000, 3_600_000])).tolist()
    [0, 1, 2, 3, 12]
    """
    seconds = np.where(ages_ms < 0, -1.0, ages_ms / 1000.0)
    return 1 + log_bucket(seconds, resolution=1.0, size=NUM_RECENCY_BUCKETS - 1)
