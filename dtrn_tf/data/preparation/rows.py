"""Turns the log of some users into the columns of their records."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtrn_tf.data.preparation.columns import to_ids, to_numbers
from dtrn_tf.data.preparation.events import Events
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.requests import first_impressions
from dtrn_tf.data.preparation.tables import Tables

Column = np.ndarray | Ragged


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Records as columns: one entry per record in every array and every `Ragged`.

    Args:
        times_ms: When the impressions, or the first ones of requests, happened.
        columns: By feature, label, mask and group key, as `encode_example` names them.
        true_probabilities: Per task, of every impression of a synthetic world.
        first_impressions: Of impressions whose request is known, the position of the first one of
            the same request.
        event_times: Of impressions, per sequence and past statistic the times of events of which
            it tells.
    """

    times_ms: np.ndarray
    columns: dict[str, Column]
    true_probabilities: dict[str, np.ndarray]
    first_impressions: np.ndarray | None = None
    event_times: dict[str, Ragged] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times_ms)

    def take(self, rows: np.ndarray) -> Rows:
        """Some of the rows, in the given order."""
        return Rows(
            times_ms=self.times_ms[rows],
            columns={name: _take(column, rows) for name, column in self.columns.items()},
            true_probabilities={k: v[rows] for k, v in self.true_probabilities.items()})

    def requests(self, candidates: Ragged, names: Collection[str]) -> Rows:
        """Impressions as requests, whose user side is that of their first impression.

        Args:
            candidates: Per record, the positions of its impressions; all of one request.
            names: Columns that hold a value per candidate.
        """
        assert self.first_impressions is not None
        first = self.first_impressions[candidates.values[candidates.starts]]

        def column_of(name: str, column: Column) -> Column:
            if name not in names:
                return _take(column, first)
            return Ragged(values=flat(column)[candidates.values], lengths=candidates.lengths)

        return Rows(
            times_ms=self.times_ms[first],
            columns={name: column_of(name, column) for name, column in self.columns.items()},
            true_probabilities={k: v[candidates.values]
                                for k, v in self.true_probabilities.items()})

    def records(self) -> Iterator[dict[str, Any]]:
        """One dict per record, as `encode_example` takes it."""
        columns = [column if isinstance(column, Ragged) else column.tolist()
                   for column in self.columns.values()]
        for values in zip(*columns):
            yield dict(zip(self.columns, values))


def flat(column: Column) -> np.ndarray:
    """All values of a column, those of lists one after the other."""
    return column.values if isinstance(column, Ragged) else column


def _take(column: Column, rows: np.ndarray) -> Column:
    return column.take(rows) if isinstance(column, Ragged) else column[rows]


def build_rows(tables: Tables, spec: PrepareSpec, layout: str = "impression") -> Rows:
    """Makes the rows of all impressions of some users, sorted by user and time.

    Args:
        tables: The log of these users.
        spec: What to make of it.
        layout: Of the records; impressions know the first one of their request if these are
            requests, or if the log names the request of each.

    Raises:
        DataError: A column has the wrong type, or a table is missing.
    """
    events = Events(tables, spec)
    columns: dict[str, Column] = {
        feature.name: events.feature(feature, events.shown) for feature in spec.features
    }
    for statistic in spec.past_statistics:
        columns[statistic.name] = events.statistic(statistic)
    for sequence in spec.sequences:
        columns.update(events.sequence(sequence))
    for task in spec.tasks:
        columns[task.label] = to_numbers(events.log[task.label], task.dtype)
        if task.mask and task.mask not in {t.label for t in spec.tasks}:
            columns[task.mask] = to_numbers(events.log[task.mask], "int64")
    columns[spec.columns.user] = to_ids(events.log[spec.columns.user],
                                        f"column {spec.columns.user!r}")
    event_times = {s.behavior: events.event_times(s) for s in spec.sequences}
    event_times |= {s.name: events.newest_time(s) for s in spec.past_statistics}
    knows_request = layout == "request" or spec.columns.request is not None
    return Rows(times_ms=events.times[events.shown], columns=columns, event_times=event_times,
                true_probabilities={task: to_numbers(events.log[column], "float64")
                                    for task, column in spec.true_probabilities.items()},
                first_impressions=first_impressions(events, spec) if knows_request else None)
