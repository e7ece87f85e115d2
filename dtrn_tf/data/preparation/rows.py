"""Turns the log of some users into the columns of their records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtrn_tf.data.preparation.columns import to_ids, to_numbers
from dtrn_tf.data.preparation.events import Events
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.tables import Tables


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Records as columns: one entry per impression in every array and every `Ragged`.

    Args:
        times_ms: When the impressions happened.
        columns: By feature, label, mask and group key, as `encode_example` names them.
        true_probabilities: Per task, of a synthetic world.
    """

    times_ms: np.ndarray
    columns: dict[str, np.ndarray | Ragged]
    true_probabilities: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.times_ms)

    def take(self, rows: np.ndarray) -> Rows:
        """Some of the rows, in the given order."""
        return Rows(
            times_ms=self.times_ms[rows],
            columns={name: column.take(rows) if isinstance(column, Ragged) else column[rows]
                     for name, column in self.columns.items()},
            true_probabilities={k: v[rows] for k, v in self.true_probabilities.items()})

    def records(self) -> Iterator[dict[str, Any]]:
        """One dict per record, as `encode_example` takes it."""
        columns = [column if isinstance(column, Ragged) else column.tolist()
                   for column in self.columns.values()]
        for values in zip(*columns):
            yield dict(zip(self.columns, values))


def build_rows(tables: Tables, spec: PrepareSpec) -> Rows:
    """Makes the records of all impressions of some users, sorted by user and time.

    Raises:
        DataError: A column has the wrong type, or a table is missing.
    """
    events = Events(tables, spec)
    columns: dict[str, np.ndarray | Ragged] = {
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
    return Rows(times_ms=events.times[events.shown], columns=columns,
                true_probabilities={task: to_numbers(events.log[column], "float64")
                                    for task, column in spec.true_probabilities.items()})
