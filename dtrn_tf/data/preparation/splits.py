"""Which split an impression belongs to, by its local day."""

from __future__ import annotations

import datetime

import numpy as np

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.rows import Rows

_DAY_MS = 86_400_000


def split_rows(rows: Rows, spec: PrepareSpec) -> dict[str, np.ndarray]:
    """Row numbers per split, by local day."""
    offset = round(spec.columns.utc_offset_hours * 3_600_000)
    days = (rows.times_ms + offset) // _DAY_MS
    splits = spec.splits
    train, valid = _day(splits.train_until), _day(splits.valid_until)
    kept = np.ones(len(rows), bool)
    if splits.train_from is not None:
        kept &= days >= _day(splits.train_from)
    if splits.test_until is not None:
        kept &= days <= _day(splits.test_until)
    parts = {"train": days <= train, "valid": (days > train) & (days <= valid),
             "test": days > valid}
    return {split: np.flatnonzero(part & kept) for split, part in parts.items()}


def _day(date: datetime.date) -> int:
    return (date - datetime.date(1970, 1, 1)).days
