"""Logs with one row per event of one type: which events are impressions, and their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dtrn_tf import checks

EventType = str | int


@dataclass(frozen=True, kw_only=True)
class EventLog:
    """Says that a row of the log is one event of one type, and what follows from that.

    Of all events of one user with one item on one local day, the first one of the types
    `impression` is the impression. What happens to them that day from then on makes its labels;
    what happened that day before is history.

    Args:
        type_column: Column with the type of the event.
        impression: Types that show the item to the user; none: all do.
        labels: Per label, types; the label is 1 if one of them happens that day at the time of
            the impression or later. Where the impression itself is of such a type, that counts.
        later_labels: Per label, types; 1 if one of them happens that day strictly later.

    Raises:
        SchemaError: A name is no text, or a label stands in both mappings or has no types.
    """

    type_column: str
    impression: tuple[EventType, ...] = ()
    labels: Mapping[str, tuple[EventType, ...]] = field(default_factory=dict)
    later_labels: Mapping[str, tuple[EventType, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.text(self.type_column, "`type_column`")
        event_types(self.impression, "impression")
        checks.no_duplicates("label of `event_log`", self.label_names)
        for key in ("labels", "later_labels"):
            for name, types in getattr(self, key).items():
                checks.text(name, f"a key of `{key}`")
                checks.whole_at_least(len(event_types(types, f"{key}.{name}")), 1,
                                      f"the number of types of `{key}.{name}`")

    @property
    def label_names(self) -> tuple[str, ...]:
        return (*self.labels, *self.later_labels)


def event_types(value: object, where: str) -> tuple[EventType, ...]:
    """A list of types of events.

    Raises:
        SchemaError: It is no list of texts or whole numbers.

    >>> event_types(["like", "love"], "labels.liked")
    ('like', 'love')
    """
    types = tuple(checks.sequence(value, where))
    for event_type in types:
        if isinstance(event_type, bool) or not isinstance(event_type, int):
            checks.text(event_type, f"a type of events in `{where}`")
    return types


def of_types(column: pd.Series, types: tuple[EventType, ...]) -> np.ndarray:
    """Whether each event is of one of the types; always true of no types.

    >>> of_types(pd.Series(["pv", "buy", "pv"]), ("buy", "cart")).tolist()
    [False, True, False]
    """
    return column.isin(types).to_numpy(bool) if types else np.ones(len(column), bool)


def impressions_and_labels(
    log: EventLog, types: pd.Series, groups: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Finds the impressions among events, and what follows each of them.

    Args:
        log: What the types mean.
        types: [N] type of every event.
        groups: [N] number of its (user, item, local day), 0, 1, ...
        times: [N] when it happened, sorted within each group.

    Returns:
        Rows of the impressions, ascending, and per label 0 or 1 at each of them.

    >>> log = EventLog(type_column="t", impression=("view",), labels={"like": ("like",)},
    ...                later_labels={"again": ("view",)})
    >>> shown, labels = impressions_and_labels(
    ...     log, pd.Series(["like", "view", "view", "like"]), np.array([0, 0, 0, 1]), np.arange(4))
    >>> shown.tolist(), {name: values.tolist() for name, values in labels.items()}
    ([1], {'like': [0], 'again': [1]})
    """
    candidates = np.flatnonzero(of_types(types, log.impression))
    shown = np.sort(candidates[np.unique(groups[candidates], return_index=True)[1]])
    begins = np.full(groups.max(initial=-1) + 1, np.iinfo(np.int64).max)
    begins[groups[shown]] = times[shown]

    def labels_of(wanted: tuple[EventType, ...], in_time: np.ndarray) -> np.ndarray:
        happens = np.zeros(len(begins), np.int64)
        happens[groups[of_types(types, wanted) & in_time]] = 1
        return happens[groups[shown]]

    since, later = times >= begins[groups], times > begins[groups]
    labels = {name: labels_of(wanted, since) for name, wanted in log.labels.items()}
    return shown, labels | {n: labels_of(wanted, later) for n, wanted in log.later_labels.items()}
