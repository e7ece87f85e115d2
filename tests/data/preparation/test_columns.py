import datetime

import numpy as np
import pandas as pd
import pytest

from dtrn_tf.data.preparation.columns import (
    MISSING_INTEGER, any_positive, encode, key_ids, local_hours, lookup, to_ids, to_milliseconds,
    to_numbers, with_missing,
)
from dtrn_tf.data.preparation.history import UNKNOWN_TIME
from dtrn_tf.data.preparation.prepare_spec import Columns, Feature
from dtrn_tf.errors import DataError


def feature(**changes):
    return Feature(**{"name": "f", "table": "items", "column": "c", **changes})


@pytest.mark.parametrize("values, expected", [
    (pd.Series([3, -5], dtype="int32"), [3, -5]),
    (pd.Series([3.0, None]), [3, MISSING_INTEGER]),
    (pd.Series([True, False]), [1, 0]),
    (pd.Series(["a", None]), ["a", ""]),
    (pd.Series([b"\xc5\xbe", None]), ["ž", ""]),
    (pd.Series([datetime.date(2022, 4, 10)]), ["2022-04-10"]),
])
def test_to_ids(values, expected):
    ids = to_ids(values, "column `c`")
    assert ids.tolist() == expected
    assert ids.dtype == (object if isinstance(expected[0], str) else np.int64)


def test_fractions_are_no_ids():
    with pytest.raises(DataError, match="column `c` should hold whole numbers or text, .* 1.5"):
        to_ids(pd.Series([1.0, 1.5]), "column `c`")


@pytest.mark.parametrize("values", [pd.Series(["7, 8", "9", None]), pd.Series([7.0, 9.0, None])])
def test_first_of_list(values):
    assert encode(values, feature(first_of_list=True)).tolist() == ["7", "9", ""]


def test_log_bucket_and_numeric():
    values = pd.Series([0.0, 3.0, None])
    assert encode(values, feature(kind="log_bucket", size=9)).tolist() == [0, 2, -1]
    numeric = encode(values, feature(kind="numeric"))
    assert numeric.dtype == np.float32 and numeric[:2].tolist() == [0, 3] and np.isnan(numeric[2])
    with pytest.raises(DataError, match="'c' of feature 'f' should hold numbers. Received"):
        encode(pd.Series(["x"]), feature(kind="numeric"))


def test_with_missing():
    assert with_missing(np.array([7]), feature()).tolist() == [7, MISSING_INTEGER]
    assert with_missing(np.array(["a"], object), feature()).tolist() == ["a", ""]
    assert np.isnan(with_missing(np.array([7], np.float32), feature(kind="numeric"))[1])


def test_local_hours():
    times = np.array([0, 3_600_000 * 23, UNKNOWN_TIME])
    assert local_hours(times, Columns(utc_offset_hours=8)).tolist() == [8, 7, MISSING_INTEGER]
    assert local_hours(times[:1], Columns(utc_offset_hours=-3.5)).tolist() == [20]


def test_times():
    assert to_milliseconds(pd.Series([7]), Columns()).tolist() == [7000]
    assert to_milliseconds(pd.Series([7]), Columns(time_unit="ms")).tolist() == [7]
    with pytest.raises(DataError, match="time column 'timestamp' should hold whole numbers in s"):
        to_milliseconds(pd.Series([7.5]), Columns())


def test_numbers():
    assert to_numbers(pd.Series([1, 0]), "float32").dtype == np.float32
    with pytest.raises(DataError, match="feedback column 'y' should hold numbers, none missing"):
        to_numbers(pd.Series([1, None], name="y"), "int64")
    with pytest.raises(DataError, match="column 'y' should hold numbers"):
        to_numbers(pd.Series(["1"], name="y"), "int64")


def test_any_positive():
    table = pd.DataFrame({"a": [1, 0, 0], "b": [1, -3, 2]})
    assert any_positive(table, ["a", "b"]).tolist() == [True, False, True]
    assert any_positive(table, []).tolist() == [True, True, True]


def test_lookup():
    keys = np.array([7, 3, 5])
    assert lookup(keys, np.array([5, 7, 11]), "key").tolist() == [2, 0, -1]
    with pytest.raises(DataError, match="key should hold every id once. Received twice: .3."):
        lookup(np.array([3, 3]), keys, "key")
    with pytest.raises(DataError, match="key should hold ids of the same type as interactions"):
        lookup(np.array(["7"], object), keys, "key")


def test_key_ids_are_never_missing():
    table = pd.DataFrame({"item_id": [7.0, None]})
    assert key_ids(table[:1], "item_id", "items").tolist() == [7]
    with pytest.raises(DataError, match="column 'item_id' of table `items` should have an id in"):
        key_ids(table, "item_id", "items")
