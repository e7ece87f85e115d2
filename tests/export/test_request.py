import numpy as np
import pytest
from helpers import small_row, small_schema

from dtrn_tf.errors import UserError
from dtrn_tf.schema import (BehaviorSequence, CategoricalFeature, NumericFeature, RequestTime,
                            Schema, SequenceFeature, Task, Vocabulary)
from export.request import Column, request_inputs, row_inputs
from export.signatures import dense_inputs

SCHEMA = small_schema()
CANDIDATE = ("item", "author", "duration")
NOT_INPUTS = ("is_click", "code", "play_time", "stars", "row_weight", "user_id")


def features(number, level=None, **changes):
    row = {name: value for name, value in small_row(number).items() if name not in NOT_INPUTS}
    return {name: value for name, value in row.items()
            if level is None or (name in CANDIDATE) == (level == "candidate")} | changes


def wide_schema():
    """Lists with weights, vectors, gaps, defaults."""
    vocabularies = (Vocabulary(name="tag", kind="hash", size=9, dtype="string"),
                    Vocabulary(name="gap", kind="log_bucket", size=5, dtype="int64"))
    return Schema(
        vocabularies=vocabularies,
        features=(
            CategoricalFeature(name="tags", vocabulary="tag", level="candidate", multiple=True,
                               weights="w", optional=True),
            CategoricalFeature(name="place", vocabulary="tag", level="request", default="none"),
            NumericFeature(name="vector", level="request", size=3),
            NumericFeature(name="price", level="candidate", default=1.5)),
        behaviors=(BehaviorSequence(name="seen", max_length=4, optional=True, features=(
            SequenceFeature(name="seen_tag", vocabulary="tag"),
            SequenceFeature(name="seen_time", vocabulary="gap", gap=True))),),
        time=RequestTime(name="now"),
        tasks=(Task(name="click", label="is_click"),))


def test_a_user_has_one_row_and_candidates_have_theirs():
    inputs = request_inputs(SCHEMA, features(7, "request"),
                            [features(number, "candidate") for number in (1, 2, 3)])
    assert inputs["city"] == Column("string", ["city3"])
    assert inputs["exposed_item"] == Column("int64", [[107, 109]])
    assert inputs["exposed_length"] == Column("int64", [2])
    assert inputs["item"] == Column("int64", [103, 107, 109])
    assert inputs["duration"] == Column("float32", [1.0, 2.0, 3.0])


def test_a_server_that_merges_gets_the_user_in_every_row():
    inputs = request_inputs(SCHEMA, features(7, "request"), [features(1, "candidate")] * 3,
                            repeat_user=True)
    assert {len(column.rows) for column in inputs.values()} == {3}
    assert inputs["exposed_item"].rows == [[107, 109]] * 3


def test_lists_of_rows_are_padded():
    inputs = row_inputs(SCHEMA, [features(number) for number in (2, 5, 1)])
    assert inputs["exposed_author"].rows == [["žofie", "ann"], ["", ""], ["bob", ""]]
    assert inputs["exposed_length"].rows == [2, 0, 1]


@pytest.mark.parametrize("schema, row", [
    (SCHEMA, features(3)),
    (wide_schema(), {"tags": ["a"], "tags_weights": [0.5], "vector": [1.0, 2.0, 3.0], "now": 9,
                     "seen_tag": ["a", "b"], "seen_time": [3, 4]})], ids=["small", "wide"])
def test_the_inputs_are_those_of_the_signatures(schema, row):
    inputs = row_inputs(schema, [row, row])
    specs = dense_inputs(schema)
    assert set(inputs) == set(specs)
    for name, column in inputs.items():
        assert column.dtype == specs[name].dtype.name
        assert specs[name].shape.is_compatible_with(np.shape(column.rows)), name


def test_what_has_a_default_or_is_optional_may_be_left_out():
    inputs = row_inputs(wide_schema(), [{"vector": np.arange(3), "now": np.int64(9)}])
    assert inputs["place"].rows == ["none"] and inputs["price"].rows == [1.5]
    assert inputs["tags_length"].rows == inputs["seen_length"].rows == [0]
    assert inputs["tags"] == Column("string", [[""]])
    assert inputs["vector"].rows == [[0.0, 1.0, 2.0]] and type(inputs["now"].rows[0]) is int


@pytest.mark.parametrize("user, candidate, message", [
    ({"colour": 1}, {}, r"the user should hold features of .* nothing else. Received too: \['c"),
    ({}, {"age": 1.0}, r"candidate 1 should hold features of \['item', 'author', 'duration'\] and"),
    ({"city": 3}, {}, "feature 'city' of the user should be a string. Received: 3."),
    ({"tab": 1.0}, {}, "feature 'tab' of the user should be a 64-bit integer. Received: 1.0."),
    ({"tab": True}, {}, "feature 'tab' of the user should be a 64-bit integer. Received: True."),
    ({"tab": 2 ** 63}, {}, "a 64-bit integer. Received: 9223372036854775808."),
    ({}, {"duration": "long"}, "feature 'duration' of candidate 1 should be a number. Rec"),
    ({"liked_item": 5}, {}, "feature 'liked_item' of the user should be a list of integers. Rec"),
    ({"exposed_author": [b"a", 5]}, {}, "'exposed_author' of the user should be a list of strings"),
    ({"exposed_author": ["a"]}, {}, "lists that 'exposed_length' counts should be of equal length "
                                    r"in the user\. Received lengths: 3 and 1"),
])
def test_features_that_do_not_fit(user, candidate, message):
    candidates = [features(1, "candidate"), features(2, "candidate", **candidate)]
    with pytest.raises(UserError, match=message):
        request_inputs(SCHEMA, features(3, "request", **user), candidates)


def test_missing_features_no_rows_and_no_dicts():
    row = features(1)
    del row["age"]
    with pytest.raises(UserError, match=r"row 1 should hold feature 'age', a number. Received: on"):
        row_inputs(SCHEMA, [features(0), row])
    with pytest.raises(UserError, match="`rows` should hold at least one row. Received: none"):
        row_inputs(SCHEMA, [])
    with pytest.raises(UserError, match="`candidates` should hold at least one candidate"):
        request_inputs(SCHEMA, features(1, "request"), [])
    with pytest.raises(UserError, match=r"row 0 should be a dict of features. Received: \[1\]"):
        row_inputs(SCHEMA, [[1]])
    with pytest.raises(UserError, match="'vector' of row 0 should be a list of 3 numbers. R"):
        row_inputs(wide_schema(), [{"vector": [1.0], "now": 9}])
