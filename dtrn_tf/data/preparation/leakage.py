"""What must never be in the records: the future, a request in two splits, a label as an input.

The checks look at rows as built, not at how they were built.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.rows import Rows
from dtrn_tf.data.preparation.tally import labels_of
from dtrn_tf.errors import DataError
from dtrn_tf.schema import Schema

# Below as many rows with and without a label a feature may equal it by chance.
_LEAST_ROWS = 100


def check_leakage(rows: Rows, splits: Mapping[str, np.ndarray], schema: Schema) -> None:
    """Checks the impressions of some users, whole, before they are written.

    Args:
        rows: Their rows.
        splits: Row numbers per split.
        schema: Of the records.

    Raises:
        DataError: An event is not strictly before its row; a request lies in two splits or begins
            after one of its rows; an input is a copy of a label.
    """
    check_only_the_past(rows)
    check_requests_in_one_split(rows, splits)
    check_no_copy_of_a_label(rows, schema)


def check_only_the_past(rows: Rows) -> None:
    """Raises DataError if a row knows an event that is not strictly before it."""
    for name, times in rows.event_times.items():
        of_row = np.repeat(np.arange(len(rows)), times.lengths)
        late = np.flatnonzero(times.values >= rows.times_ms[of_row])
        if len(late):
            row = of_row[late[0]]
            raise DataError(
                f"every event in {name!r} should be strictly before its row. Received: an event at "
                f"{times.values[late[0]]} ms in a row at {rows.times_ms[row]} ms, "
                f"{_tell(rows, row)} ({len(late)} such events). This is a fault of the history "
                "builder: report it.")


def check_requests_in_one_split(rows: Rows, splits: Mapping[str, np.ndarray]) -> None:
    """Raises DataError if a request lies in two splits, or begins after one of its rows."""
    first = rows.first_impressions
    if first is None:
        return
    early = np.flatnonzero(rows.times_ms < rows.times_ms[first])
    if len(early):
        raise DataError("the first impression of a request should not be later than the others. "
                        f"Received: a row before it, {_tell(rows, early[0])}. This is a fault of "
                        "the grouping into requests: report it.")
    index = np.concatenate(list(splits.values()))
    codes = np.repeat(np.arange(len(splits)), [len(part) for part in splits.values()])
    pairs = np.unique(np.stack([first[index], codes], axis=1), axis=0)
    twice = np.flatnonzero(pairs[1:, 0] == pairs[:-1, 0])
    if len(twice):
        request, names = pairs[twice[0], 0], list(splits)
        raise DataError("a request should be in one split. Received: one in "
                        f"{names[pairs[twice[0], 1]]} and {names[pairs[twice[0] + 1, 1]]}, "
                        f"{_tell(rows, request)}. This is a fault of the split: report it.")


def check_no_copy_of_a_label(rows: Rows, schema: Schema) -> None:
    """Raises DataError if two values of an input tell a label apart without exception."""
    for task in schema.tasks:
        if task.kind != "binary":
            continue
        observed = (np.ones(len(rows), bool) if task.mask is None
                    else np.asarray(rows.columns[task.mask]) != 0)
        positive = np.asarray(labels_of(task, rows)) > 0
        if min(positive.sum(), (~positive).sum()) < _LEAST_ROWS:
            continue
        for feature in schema.features:
            values = np.asarray(rows.columns[feature.name])[observed]
            if _tells_apart(values, positive):
                raise DataError(
                    f"feature {feature.name!r} should not tell the label of task {task.name!r}. "
                    f"Received: {values[positive][0]!r} in all {positive.sum()} positive rows of "
                    f"some users, {values[~positive][0]!r} in all others. Drop the feature from "
                    "the prepare spec.")


def _tells_apart(values: np.ndarray, positive: np.ndarray) -> bool:
    """Whether all positive rows have one value and all others another."""
    one, other = values[np.argmax(positive)], values[np.argmin(positive)]
    if one == other:
        return False
    return bool(np.all(values == np.where(positive, one, other)))


def _tell(rows: Rows, row: int) -> str:
    """The row in words: the columns with a single value that tell most."""
    return ", ".join(f"{name} {column[row]!r}" for name, column in rows.columns.items()
                     if not isinstance(column, Ragged))[:300]
