import numpy as np
import pytest
import tensorflow as tf
from any_records import record

from dtrn_tf.data.profiling.columns import is_example, read_columns, read_columns_one_by_one

RECORDS = [
    record(item=[7, 9], name=["ann"], score=[0.5], empty=[], unset=None),
    record(),
    record(item=[], name=["bob", "žofie"]),
    record(item=[3], score=[float("nan"), 2.0]),
]


def _plain(columns):
    return {key: [column.rows.tolist(), column.lengths.tolist(), list(map(str, column.values))]
            for key, column in columns.items()}


@pytest.mark.parametrize("read", [read_columns, read_columns_one_by_one])
def test_columns_tell_absent_from_empty_and_keep_every_value(read):
    assert _plain(read(RECORDS)) == {
        ("item", "int64"): [[0, 2, 3], [2, 0, 1], ["7", "9", "3"]],
        ("name", "string"): [[0, 2], [1, 2], ["b'ann'", "b'bob'", str("žofie".encode())]],
        ("score", "float32"): [[0, 3], [1, 2], ["0.5", "nan", "2.0"]],
        ("empty", "int64"): [[0], [0], []],
        ("unset", "none"): [[0], [0], []],
    }


def test_a_feature_of_two_kinds_has_two_columns():
    columns = read_columns([record(a=1, b=2), record(a=1.5, b=3), record(a="x")])
    assert _plain(columns) == {
        ("a", "int64"): [[0], [1], ["1"]], ("a", "float32"): [[1], [1], ["1.5"]],
        ("a", "string"): [[2], [1], ["b'x'"]], ("b", "int64"): [[0, 1], [1, 1], ["2", "3"]]}


def test_records_without_features_have_no_columns():
    assert read_columns([record(), b""]) == {}


def test_first_row_is_the_record_that_holds_a_value():
    records = [record(a=[1, 2]), record(), record(a=[]), record(a=[5, 6])]
    column = read_columns(records)["a", "int64"]
    assert [column.first_row(column.values == value) for value in (1, 2, 5, 6)] == [0, 0, 3, 3]


def test_what_is_no_example():
    broken = RECORDS[0][:-1]
    assert is_example(RECORDS[0]) and is_example(b"") and not is_example(broken)
    with pytest.raises(tf.errors.DataLossError):
        read_columns([*RECORDS, broken])


def test_both_ways_agree_on_random_records():
    random = np.random.default_rng(3)
    records = [record(**{f"f{i}": random.integers(0, 9, random.integers(0, 4)).tolist()
                         for i in random.choice(7, random.integers(0, 7), replace=False)})
               for _ in range(31)]
    assert _plain(read_columns(records)) == _plain(read_columns_one_by_one(records))
