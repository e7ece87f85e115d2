import numpy as np
import pytest
from test_preparation import FIRST, DAY, interactions, spec_of, tables

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preparation import encoding
from dtrn_tf.data.preparation.encoding import encode_rows
from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.record_schema import record_schema
from dtrn_tf.data.preparation.rows import Rows, build_rows
from dtrn_tf.errors import DataError
from dtrn_tf.schema import (
    BehaviorSequence, CategoricalFeature, GroupKey, NumericFeature, Schema, SequenceFeature, Task,
    Vocabulary,
)

INTEGERS = np.array([0, 1, -1, 127, 128, 300, 16_383, 16_384, 2**31, -2**31, 2**63 - 1, -2**63])
NUMBERS = np.array([0.0, -0.0, 1.5, np.nan, np.inf, -np.inf, 1e-45, 3e38, 0.1, 7, 7, 8], np.float32)
STRINGS = np.array(["", "a", "č", "\0", "x" * 127, "x" * 128, "y" * 20_000, "a", "b", "漢字",
                    b"\xff\x00", "z"], object)
LENGTHS = np.array([0, 3, 1, 0, 12, 2, 1, 0, 40, 1, 0, 5])


def schema():
    """Names of which some begin with others, as sorting them is delicate."""
    return Schema(
        vocabularies=(Vocabulary(name="n", kind="hash", size=9),
                      Vocabulary(name="s", kind="hash", size=9, dtype="string")),
        features=(CategoricalFeature(name="liked", vocabulary="n", level="request"),
                  CategoricalFeature(name="a", vocabulary="s", level="candidate"),
                  NumericFeature(name="ab", level="request")),
        behaviors=(BehaviorSequence(name="likes", max_length=9, features=(
            SequenceFeature(name="liked_item", vocabulary="n"),
            SequenceFeature(name="liked_item_", vocabulary="s"))),),
        tasks=(Task(name="click", label="b"), Task(name="stay", label="abc", dtype="float32",
                                                   kind="regression")),
        group=GroupKey(name="user", dtype="string"))


def rows(**changes):
    total = LENGTHS.sum()
    columns = {
        "liked": INTEGERS, "a": STRINGS, "ab": NUMBERS, "user": STRINGS[::-1],
        "liked_item": Ragged(values=np.resize(INTEGERS, total), lengths=LENGTHS),
        "liked_item_": Ragged(values=np.resize(STRINGS, total), lengths=LENGTHS),
        "b": np.resize([0, 1], 12), "abc": NUMBERS[::-1].copy()}
    return Rows(times_ms=np.zeros(12), columns=columns | changes, true_probabilities={})


@pytest.mark.parametrize("block", [1, 5, 1 << 13])
def test_the_bytes_are_those_of_encode_example(monkeypatch, block):
    monkeypatch.setattr(encoding, "_BLOCK", block)
    found = list(encode_rows(rows(), schema()))
    assert found == [encode_example(row, schema()) for row in rows().records()]
    assert len(set(map(len, found))) > 6


@pytest.mark.parametrize("layout", ["impression", "request"])
def test_of_real_rows(layout):
    spec = spec_of(request_window_seconds=DAY)
    log = interactions().assign(user="u" + interactions()["user"].astype(str))
    built = build_rows(tables(interactions=log), spec, layout)
    described = record_schema(spec, built, layout)
    if layout == "request":
        candidates = Ragged(values=np.arange(49), lengths=np.full(7, 7))
        built = built.requests(candidates, described.candidate_lists)
    assert list(encode_rows(built, described)) == [
        encode_example(row, described) for row in built.records()]
    assert FIRST and len(built) == (7 if layout == "request" else 49)


def test_no_rows():
    assert not list(encode_rows(rows().take(np.zeros(0, int)), schema()))


def test_a_column_of_another_type():
    with pytest.raises(DataError, match="column 'liked' of the records should be int64 in all "
                                        "parts of the log. Received: object"):
        list(encode_rows(rows(liked=STRINGS), schema()))
    with pytest.raises(DataError, match="column 'abc' of the records should be float32"):
        list(encode_rows(rows(abc=INTEGERS), schema()))


def test_other_columns():
    with pytest.raises(DataError, match=r"rows should have the columns \['a', .*\]. Received: .*x"):
        list(encode_rows(rows(x=INTEGERS), schema()))
