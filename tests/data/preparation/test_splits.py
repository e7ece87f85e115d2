import datetime

import numpy as np
import pytest
from test_preparation import FIRST, interactions, spec_of, tables
from test_prepare_spec import changed

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.splits import split_rows
from dtrn_tf.errors import SchemaError

DAY_MS = 86_400_000


def days_of(**splits):
    """Days of the log, 0 to 6, in each split; and all rows."""
    spec = spec_of(splits={"train_until": datetime.date(2024, 1, 3),
                           "valid_until": datetime.date(2024, 1, 5), **splits})
    rows = build_rows(tables(interactions=interactions().assign(purchase=1)), spec)
    days = (rows.times_ms - FIRST * 1000) // DAY_MS
    return {split: sorted({*days[index].tolist()})
            for split, index in split_rows(rows, spec).items()}, rows


def test_a_gap_leaves_days_out_before_valid_and_test():
    days, rows = days_of()
    assert days == {"train": [0, 1, 2], "valid": [3, 4], "test": [5, 6]}
    days, with_gap = days_of(gap_days=1)
    assert days == {"train": [0, 1, 2], "valid": [4], "test": [6]}
    # Rows of the gap are history all the same.
    assert str(list(rows.records())) == str(list(with_gap.records()))
    assert np.max(with_gap.columns["bought_item"].lengths) == 3


@pytest.mark.parametrize("to, message", [
    ({"gap_days": -1}, "splits: `gap_days` should be a whole number >= 0"),
    ({"gap_days": 2}, r"should have days left after `gap_days`. Received: 2 between "
                      r"\['2024-01-03', '2024-01-05'\]"),
    ({"gap_days": 1, "test_until": datetime.date(2024, 1, 6)},
     "should have days left after `gap_days`. Received: 1 between"),
])
def test_a_gap_that_leaves_nothing(to, message):
    config = changed("splits", to={"train_until": datetime.date(2024, 1, 3),
                                   "valid_until": datetime.date(2024, 1, 5), **to})
    with pytest.raises(SchemaError, match=message):
        PrepareSpec.from_dict(config)
