"""The log of some users in order: which rows are events, which are impressions, what they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.columns import any_positive, key_ids, local_days, to_milliseconds
from dtrn_tf.data.preparation.event_log import impressions_and_labels, of_types
from dtrn_tf.data.preparation.negatives import sample_items
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Log:
    """Rows sorted by user and time, each sampled item after the impression it stands against.

    Args:
        table: Columns of interactions, with the labels where they follow from events.
        is_impression: [N] whether a row becomes a row of the records.
        is_sampled: [N] whether a row is a sampled item: an impression, but nothing that happened.
    """

    table: pd.DataFrame
    is_impression: np.ndarray
    is_sampled: np.ndarray

    @property
    def is_real_impression(self) -> np.ndarray:
        return self.is_impression & ~self.is_sampled

    def occurred(self, spec: PrepareSpec) -> dict[str, np.ndarray]:
        """Per behaviour, whether each row is an event of it."""
        if spec.event_log is None:
            occurred = {behavior: any_positive(self.table, [str(c) for c in feedback])
                        for behavior, feedback in spec.behaviors.items()}
        else:
            types = self.table[spec.event_log.type_column]
            occurred = {behavior: of_types(types, wanted)
                        for behavior, wanted in spec.behaviors.items()}
        return {behavior: rows & ~self.is_sampled for behavior, rows in occurred.items()}


def read_log(tables: Tables, spec: PrepareSpec) -> Log:
    """Sorts the interactions of some users, finds the impressions and samples negatives.

    Raises:
        DataError: A column has the wrong type, or `item_days` is missing.
    """
    user, item, time, *types = spec.key_columns
    table = tables.interactions.sort_values([user, time, item, *types], kind="stable",
                                            ignore_index=True)
    log = Log(table=table, is_impression=np.ones(len(table), bool),
              is_sampled=np.zeros(len(table), bool))
    if spec.event_log is not None:
        log = _from_events(log, spec)
    return log if spec.negatives is None else _with_negatives(log, tables.item_days, spec)


def _from_events(log: Log, spec: PrepareSpec) -> Log:
    assert spec.event_log is not None
    times = to_milliseconds(log.table[spec.columns.time], spec.columns)
    keys = [pd.Series(key_ids(log.table, key, "interactions"))
            for key in (spec.columns.user, spec.columns.item)]
    groups = log.table.groupby([*keys, local_days(times, spec.columns)], sort=False).ngroup()
    shown, labels = impressions_and_labels(
        spec.event_log, log.table[spec.event_log.type_column], groups.to_numpy(), times)
    is_impression = np.zeros(len(log.table), bool)
    is_impression[shown] = True
    columns = {name: np.zeros(len(log.table), np.int64) for name in labels}
    for name, values in labels.items():
        columns[name][shown] = values
    return Log(table=log.table.assign(**columns), is_impression=is_impression,
               is_sampled=log.is_sampled)


def _with_negatives(log: Log, item_days: pd.DataFrame | None, spec: PrepareSpec) -> Log:
    assert spec.negatives is not None
    if item_days is None:
        raise DataError("`item_days` of the tables should be counted in the whole log, to sample "
                        "negatives. Received: none. Count them with `count_item_days`.")
    user, item, time = spec.columns.keys
    items = key_ids(log.table, item, "interactions")
    days = local_days(to_milliseconds(log.table[time], spec.columns), spec.columns)
    against, drawn = sample_items(key_ids(log.table, user, "interactions"), items, days,
                                  log.is_impression, item_days, spec.negatives)
    sampled = log.table.iloc[against].assign(**{
        item: drawn, **{task.mask: 1 for task in spec.tasks if task.mask},
        **{task.label: 0 for task in spec.tasks}})
    # Stable: a sampled item comes right after its impression.
    order = np.argsort(np.concatenate([np.arange(len(log.table)), against]), kind="stable")
    ones = np.ones(len(against), bool)
    return Log(table=pd.concat([log.table, sampled]).iloc[order].reset_index(drop=True),
               is_impression=np.concatenate([log.is_impression, ones])[order],
               is_sampled=np.concatenate([log.is_sampled, ones])[order])
