"""Which split an impression belongs to, by its local day."""

from __future__ import annotations

import datetime

import numpy as np

from dtrn_tf.data.preparation.columns import local_days
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.rows import Rows


def split_rows(rows: Rows, spec: PrepareSpec) -> dict[str, np.ndarray]:
    """Row numbers per split, by local day.

    The day is that of the impression or, where requests are known, of the first impression of its
    request, so that no request is in two splits.
    """
    first = slice(None) if rows.first_impressions is None else rows.first_impressions
    days = local_days(rows.times_ms[first], spec.columns)
    splits = spec.splits
    train, valid = _day(splits.train_until), _day(splits.valid_until)
    begin = -np.inf if splits.train_from is None else _day(splits.train_from)
    end = np.inf if splits.test_until is None else _day(splits.test_until)
    return {
        "train": np.flatnonzero((days >= begin) & (days <= train)),
        "valid": np.flatnonzero((days > train + splits.gap_days) & (days <= valid)),
        "test": np.flatnonzero((days > valid + splits.gap_days) & (days <= end)),
    }


def _day(date: datetime.date) -> int:
    return (date - datetime.date(1970, 1, 1)).days
