import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_request, small_row, small_schema

from dtrn_tf.data.examples import (
    check_examples, encode_example, feature_spec, labels_and_weights, parse_examples,
)
from dtrn_tf.errors import DataError
from dtrn_tf.schema import REQUEST_INDEX, Schema, Task

SCHEMA = small_schema()
REQUESTS = small_schema(layout="request")


def _serialized(*rows):
    return tf.constant([encode_example(row, SCHEMA) for row in rows])


def _without(serialized, *names):
    example = tf.train.Example.FromString(serialized)
    for name in names:
        del example.features.feature[name]
    return example.SerializeToString()


def _with(serialized, name, **values):
    example = tf.train.Example.FromString(serialized)
    example.features.feature[name].CopyFrom(tf.train.Feature(**values))
    return example.SerializeToString()


def _text(error):
    """The message of a TensorFlow error on one line, quotes not escaped."""
    return error.value.message.replace("\\'", "'").replace("\n", " ")


def test_parse_is_the_inverse_of_encode():
    rows = [small_row(n) for n in (0, 3, 7, 1, 11)]
    raw = parse_examples(_serialized(*rows), SCHEMA, group=True)
    assert set(raw) == set(rows[0])
    for name, tensor in raw.items():
        is_ragged = isinstance(tensor, tf.RaggedTensor)
        values = tensor.to_list() if is_ragged else tensor.numpy().tolist()
        expected = [row[name] for row in rows]
        if tensor.dtype == tf.string:
            expected = tf.nest.map_structure(lambda s: s.encode(), expected)
        assert values == expected, name


def test_encode_takes_numpy_values_and_bytes():
    plain = small_row(3)
    row = {**plain, "item": np.int32(plain["item"]), "author": plain["author"].encode(),
           "age": np.float32(plain["age"]), "exposed_item": np.array(plain["exposed_item"]),
           "exposed_author": np.array(plain["exposed_author"])}
    parsed = [parse_examples(_serialized(r), SCHEMA) for r in (row, plain)]
    for name in parsed[0]:
        tf.debugging.assert_equal(*(p[name] if not isinstance(p[name], tf.RaggedTensor)
                                    else p[name].values for p in parsed))


def test_encode_writes_empty_lists():
    features = tf.train.Example.FromString(encode_example(small_row(0), SCHEMA)).features.feature
    assert features["exposed_author"].WhichOneof("kind") == "bytes_list"
    assert features["liked_item"].WhichOneof("kind") == "int64_list"


@pytest.mark.parametrize("changes, message", [
    ({"item": "x"}, r"feature 'item' of a row should be one 64-bit integer\. Received: 'x'"),
    ({"item": 1.5}, r"feature 'item' of a row should be one 64-bit integer\. Received: 1.5"),
    ({"item": 2**63}, r"feature 'item' .* Received: 9223372036854775808"),
    ({"item": [1, 2]}, r"feature 'item' of a row should be one 64-bit integer\. Received: \[1, 2"),
    ({"city": 3}, r"feature 'city' of a row should be one string\. Received: 3"),
    ({"age": "old"}, r"feature 'age' of a row should be one number\. Received: 'old'"),
    ({"liked_item": 3}, r"'liked_item' of a row should be a list of 64-bit integers\. Received: 3"),
    ({"liked_item": None}, r"'liked_item' .* Received: None"),
    ({"exposed_author": "ann"}, r"'exposed_author' .* a list of strings\. Received: 'ann'"),
    ({"surplus": 3}, r"a row should hold \[.*'item'.*\] and nothing else\. "
                     r"Received too: \['surplus'\]"),
])
def test_encode_names_the_feature(changes, message):
    with pytest.raises(DataError, match=message):
        encode_example({**small_row(3), **changes}, SCHEMA)


@pytest.mark.parametrize("name", ["item", "liked_item", "is_click", "row_weight", "user_id"])
def test_encode_names_the_absent_feature(name):
    row = small_row(3)
    del row[name]
    with pytest.raises(DataError, match=rf"a row should hold \[.*\]\. Missing: '{name}'"):
        encode_example(row, SCHEMA)


@pytest.mark.parametrize("labels, group, present, absent", [
    (True, True, {"is_click", "row_weight", "user_id", "item"}, set()),
    (True, False, {"is_click", "code", "stars", "row_weight"}, {"user_id"}),
    (False, True, {"user_id", "liked_item"}, {"is_click", "row_weight"}),
    (False, False, {"item", "age"}, {"is_click", "code", "row_weight", "user_id"}),
])
def test_feature_spec_reads_what_is_asked_for(labels, group, present, absent):
    names = set(feature_spec(SCHEMA, labels, group))
    assert present <= names and not absent & names
    raw = parse_examples(_serialized(small_row(3)), SCHEMA, labels, group)
    assert set(raw) == names


def test_sequences_of_a_behavior_share_their_partition():
    raw = parse_examples(_serialized(small_row(3), small_row(4)), SCHEMA)
    assert raw["exposed_item"].row_splits is raw["exposed_author"].row_splits


def test_parse_rejects_sequences_of_unequal_length():
    serialized = tf.constant([_with(encode_example(small_row(3), SCHEMA), "exposed_author",
                                    bytes_list={"value": [b"ann"]})])
    for parse in (parse_examples, tf.function(parse_examples)):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            parse(serialized, SCHEMA)
        assert re.search(r"the sequences of behaviour 'exposed' should be as long as "
                         r"'exposed_item' in every record\. Received:.*exposed_author",
                         _text(error))


def _tasks(raw, *tasks, sample_weight=None):
    schema = small_schema(tasks=tasks, sample_weight=sample_weight)
    labels, weights = labels_and_weights(raw, schema)
    assert all(t.dtype == tf.float32 for t in [*labels.values(), *weights.values()])
    return ({k: v.numpy().tolist() for k, v in labels.items()},
            {k: v.numpy().tolist() for k, v in weights.items()})


def test_label_rules():
    raw = {"code": tf.constant([0, 1, 4, 5, 3], tf.int64),
           "seen": tf.constant([1, 0, 0, 1, 1], tf.int64),
           "share": tf.constant([0.3, 0.7, 0.69999, 1.0, 0.0])}
    labels, weights = _tasks(
        raw, Task(name="as_is", label="seen"),
        Task(name="click", label="code", at_least=1),
        Task(name="half", label="code", at_least=3.5),
        Task(name="order", label="code", one_of=(4, 5)),
        # 0.7 is another number in float32 than in float64: the rule means the former.
        Task(name="most", label="share", dtype="float32", at_least=0.7),
        Task(name="exact", label="share", dtype="float32", one_of=(0.7, 0.3)),
        Task(name="amount", label="share", dtype="float32", kind="regression", weight=3.0))
    assert labels == {
        "as_is": [1, 0, 0, 1, 1], "click": [0, 1, 1, 1, 1], "half": [0, 0, 1, 1, 0],
        "order": [0, 0, 1, 1, 0], "most": [0, 1, 0, 1, 0], "exact": [1, 1, 0, 0, 0],
        "amount": raw["share"].numpy().tolist()}
    # The task's own weight belongs to the loss, not here.
    assert weights == {name: [1.0] * 5 for name in labels}


def test_a_rule_compares_large_integers_exactly():
    raw = {"time": tf.constant([1_600_000_000_000, 1_600_000_000_001], tf.int64)}
    labels, _ = _tasks(raw, Task(name="new", label="time", at_least=1_600_000_000_001))
    assert labels == {"new": [0.0, 1.0]}


def test_masked_labels_are_zero_with_weight_zero_whatever_they_were():
    nan, inf = float("nan"), float("inf")
    raw = {"seen": tf.constant([0, 1, 0, 1, 0], tf.int64),
           "stars": tf.constant([nan, 2.0, inf, 3.0, 7.0]),
           "flag": tf.constant([-1, 1, 2, 0, 1], tf.int64),
           "w": tf.constant([2.0, 3.0, 5.0, 0.0, 7.0])}
    labels, weights = _tasks(
        raw, Task(name="rating", label="stars", dtype="float32", kind="regression", mask="seen"),
        Task(name="flag", label="flag", mask="seen"), Task(name="seen", label="seen"),
        sample_weight="w")
    assert labels == {"rating": [0, 2, 0, 3, 0], "flag": [0, 1, 0, 0, 0], "seen": [0, 1, 0, 1, 0]}
    assert weights == {"rating": [0, 3, 0, 0, 0], "flag": [0, 3, 0, 0, 0], "seen": [2, 3, 5, 0, 7]}


def test_masking_equals_leaving_rows_out():
    raw = {"seen": tf.constant([1, 0, 1], tf.int64), "flag": tf.constant([1, 9, 0], tf.int64)}
    task = Task(name="flag", label="flag", mask="seen")
    labels, weights = _tasks(raw, task)
    kept, kept_weights = _tasks({k: tf.gather(v, [0, 2]) for k, v in raw.items()}, task)
    assert [labels["flag"][i] for i in (0, 2)] == kept["flag"]
    assert weights["flag"] == [1.0, 0.0, 1.0] and kept_weights["flag"] == [1.0, 1.0]


@pytest.mark.parametrize("task, values, message", [
    (Task(name="click", label="y"), [0, 1, 2],
     r"label feature 'y' of task 'click' should be 0 or 1 .*`at_least` or `one_of`.*Received:.*2"),
    (Task(name="click", label="y"), [0, -1, 1], r"of task 'click' should be 0 or 1.*-1"),
    (Task(name="click", label="y", dtype="float32"), [0.0, 0.5], r"task 'click'.*0 or 1.*0\.5"),
    (Task(name="click", label="y", dtype="float32"), [np.nan], r"task 'click'.*0 or 1.*nan"),
    (Task(name="long", label="y", dtype="float32", at_least=3), [1.0, np.nan],
     r"label feature 'y' of task 'long' should be a finite number.*nan"),
    (Task(name="rating", label="y", dtype="float32", kind="regression"), [np.inf],
     r"label feature 'y' of task 'rating' should be a finite number.*inf"),
])
def test_labels_out_of_range_stop_the_graph(task, values, message):
    raw = {"y": tf.constant(values, task.dtype)}
    schema = small_schema(tasks=(task,), sample_weight=None)
    for function in (labels_and_weights, tf.function(labels_and_weights)):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            function(raw, schema)
        assert re.search(message, _text(error))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_sample_weight_out_of_range_stops_the_graph(weight):
    raw = {"y": tf.constant([0, 1], tf.int64), "w": tf.constant([1.0, weight])}
    schema = small_schema(tasks=(Task(name="click", label="y"),), sample_weight="w")
    for function in (labels_and_weights, tf.function(labels_and_weights)):
        with pytest.raises(tf.errors.InvalidArgumentError,
                           match="sample weight .*w.* should be a finite number >= 0"):
            function(raw, schema)


@pytest.mark.parametrize("number", range(6))
def test_check_examples_accepts_what_encode_wrote(number):
    check_examples(encode_example(small_row(number), SCHEMA), SCHEMA, "here")


def test_check_examples_accepts_a_masked_label_and_an_empty_feature():
    row = small_row(2, stars=float("nan"), is_click=0, liked_item=[])
    record = _with(encode_example(row, SCHEMA), "liked_item")
    check_examples(record, SCHEMA, "here")


@pytest.mark.parametrize("damage, message", [
    (lambda r: b"\xff" + r, r"f, record 3: should be a serialized tf\.train\.Example\. "
                            r"Received: b'\\xff"),
    (lambda r: _without(r, "item"),
     r"f, record 3: feature 'item' should be present\. Received: only \['age'.*Correct the schema"),
    (lambda r: _without(r, "liked_item"), r"feature 'liked_item' should be present"),
    (lambda r: _without(r, "stars"), r"feature 'stars' should be present"),
    (lambda r: _with(r, "item", bytes_list={"value": [b"x"]}),
     r"f, record 3: feature 'item' should be one 64-bit integer \(int64_list\)\. Received: "
     r"bytes_list\. Correct the schema, or prepare"),
    (lambda r: _with(r, "liked_item", float_list={"value": [1.0]}),
     r"feature 'liked_item' should be a list of 64-bit integers \(int64_list\)\. Received: float"),
    (lambda r: _with(r, "tab", int64_list={"value": [1, 2]}),
     r"f, record 3: feature 'tab' should be one 64-bit integer\. Received: 2 values"),
    (lambda r: _with(r, "tab"), r"feature 'tab' should be one 64-bit integer\. Received: 0 values"),
    (lambda r: _with(r, "exposed_author", bytes_list={"value": [b"ann"]}),
     r"f, record 3: the sequences of behaviour 'exposed' should be of equal length\. Received "
     r"lengths: \{'exposed_item': 3, 'exposed_author': 1\}"),
    (lambda r: _with(r, "is_click", int64_list={"value": [2]}),
     r"f, record 3: label feature 'is_click' of task 'click' should be 0 or 1 .*Received: 2\."),
    (lambda r: _with(r, "play_time", float_list={"value": [float("nan")]}),
     r"label feature 'play_time' of task 'long_view' should be a finite number\. Received: nan"),
    (lambda r: _with(r, "row_weight", float_list={"value": [-1.0]}),
     r"f, record 3: sample weight 'row_weight' should be a finite number >= 0\. Received: -1"),
])
def test_check_examples_names_place_and_feature(damage, message):
    record = damage(encode_example(small_row(3), SCHEMA))
    with pytest.raises(DataError, match=message):
        check_examples(record, SCHEMA, "f, record 3")


def test_parse_lays_requests_out_as_requests_and_candidates():
    requests = [small_request(numbers) for numbers in ((3, 1, 4), (7,), (0, 2))]
    raw = parse_examples(tf.constant([encode_example(r, REQUESTS) for r in requests]), REQUESTS,
                         group=True)
    assert raw.pop(REQUEST_INDEX).numpy().tolist() == [0, 0, 0, 1, 2, 2]
    assert set(raw) == set(requests[0])
    values = {f.name: f.values for f in REQUESTS.record_features}
    for name, tensor in raw.items():
        expected = [request[name] for request in requests]
        if values[name] == "candidate":
            expected = sum(expected, [])
        if tensor.dtype == tf.string:
            expected = tf.nest.map_structure(lambda s: s.encode(), expected)
        is_ragged = isinstance(tensor, tf.RaggedTensor)
        assert is_ragged == (values[name] == "position")
        assert (tensor.to_list() if is_ragged else tensor.numpy().tolist()) == expected, name


def test_parse_of_requests_without_labels_and_of_none():
    serialized = tf.constant([encode_example(small_request(), REQUESTS)])
    raw = parse_examples(serialized, REQUESTS, labels=False)
    assert "is_click" not in raw and raw["item"].shape == [2]
    none = parse_examples(serialized[:0], REQUESTS)
    assert none["item"].shape == none[REQUEST_INDEX].shape == none["age"].shape == [0]


def test_an_impression_is_a_request_with_one_candidate():
    serialized = _serialized(*map(small_row, range(5)))
    raw, requests = parse_examples(serialized, SCHEMA), parse_examples(serialized, REQUESTS)
    assert requests.pop(REQUEST_INDEX).numpy().tolist() == [0, 1, 2, 3, 4]
    for name, tensor in raw.items():
        assert str(requests[name]) == str(tensor)


@pytest.mark.parametrize("name, values, message", [
    ("is_click", [1], r"the lists of candidates should be as long as 'item' in every record\. "
                      r"Received:.*is_click"),
    ("item", [103, 103, 103], r"should be as long as 'item' in every record\. Received:.*author"),
])
def test_parse_rejects_lists_of_candidates_of_unequal_length(name, values, message):
    whole = encode_example(small_request(), REQUESTS)
    serialized = tf.constant([whole, _with(whole, name, int64_list={"value": values})])
    for parse in (parse_examples, tf.function(parse_examples)):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            parse(serialized, REQUESTS)
        assert re.search(message, _text(error))


def _no_candidates():
    example = tf.train.Example.FromString(encode_example(small_request(), REQUESTS))
    for name in REQUESTS.candidate_lists:
        kind = example.features.feature[name].WhichOneof("kind")
        example.features.feature[name].CopyFrom(tf.train.Feature(**{kind: {}}))
    return example.SerializeToString()


def test_parse_rejects_a_request_without_candidates():
    serialized = tf.constant([encode_example(small_request(), REQUESTS), _no_candidates()])
    for parse in (parse_examples, tf.function(parse_examples)):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            parse(serialized, REQUESTS)
        assert re.search(r"the lists of candidates, such as 'item', should hold at least one "
                         r"value\. Received:.*0", _text(error))


def test_a_schema_of_one_candidate_feature():
    schema = Schema.from_dict({
        "layout": "request", "vocabularies": [{"name": "item", "kind": "hash", "size": 5}],
        "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
        "tasks": [{"name": "click", "label": "y"}]})
    record = encode_example({"item": [7, 8], "y": [0, 1]}, schema)
    raw = parse_examples(tf.constant([record]), schema, labels=False)
    assert raw["item"].numpy().tolist() == [7, 8]


@pytest.mark.parametrize("changes, message", [
    ({"item": 101}, r"feature 'item' of a row should be a list of 64-bit integers\. Received: 101"),
    ({"author": "ann"}, r"feature 'author' .* a list of strings\. Received: 'ann'"),
    ({"age": [3.0]}, r"feature 'age' of a row should be one number\. Received: \[3\.0\]"),
    ({"is_click": [1]}, r"a row: the lists of candidates should be of equal length\. Received "
                        r"lengths: \{'item': 2, .*'is_click': 1"),
    ({"exposed_item": []}, r"a row: the sequences of behaviour 'exposed' should be of equal len"),
    (dict.fromkeys(["item", "author", "duration", "is_click", "code", "play_time", "stars",
                    "row_weight"], []),
     r"a row: the lists of candidates, such as 'item', should hold at least one value\. Received: "
     r"an empty list\. Correct the schema"),
])
def test_encode_names_what_is_wrong_with_a_request(changes, message):
    with pytest.raises(DataError, match=message):
        encode_example(small_request(**changes), REQUESTS)


@pytest.mark.parametrize("damage, message", [
    (lambda r: _with(r, "is_click", int64_list={"value": [1]}),
     r"f, record 3: the lists of candidates should be of equal length\. Received lengths: .*"
     r"'is_click': 1, 'code': 2"),
    (lambda r: _no_candidates(), r"f, record 3: the lists of candidates, such as 'item', should "
                                 r"hold at least one value\. Received: an empty list"),
    (lambda r: _with(r, "age", float_list={"value": [1.0, 2.0]}),
     r"feature 'age' should be one number\. Received: 2 values"),
    (lambda r: _with(r, "is_click", int64_list={"value": [0, 2]}),
     r"label feature 'is_click' of task 'click' should be 0 or 1 .*Received: 2\."),
    (lambda r: _with(r, "row_weight", float_list={"value": [1.0, -1.0]}),
     r"sample weight 'row_weight' should be a finite number >= 0\. Received: -1"),
])
def test_check_examples_names_what_is_wrong_with_a_request(damage, message):
    record = encode_example(small_request(), REQUESTS)
    check_examples(record, REQUESTS, "f, record 3")
    with pytest.raises(DataError, match=message):
        check_examples(damage(record), REQUESTS, "f, record 3")


def test_ten_candidates_take_a_quarter_of_the_bytes():
    """Of ten impressions that repeat the user side: three behaviours, log-normal lengths."""
    behaviors = ("clicked", "liked", "bought")
    impressions = Schema.from_dict({
        "vocabularies": [{"name": "id", "kind": "hash", "size": 10**6}],
        "features": [{"name": f"{level}_{i}", "vocabulary": "id", "level": level}
                     for level in ("request", "candidate") for i in range(8)],
        "behaviors": [{"name": b, "max_length": 50, "features": [
            {"name": f"{b}_{side}", "vocabulary": "id"} for side in ("item", "author")]}
            for b in behaviors],
        "tasks": [{"name": f"task_{i}", "label": f"label_{i}", "at_least": 1} for i in range(4)],
        "group": {"name": "user"}})
    requests = dataclasses.replace(impressions, layout="request")
    random = np.random.default_rng(5)
    bytes_of_impressions = bytes_of_requests = 0
    for _ in range(50):
        lengths = {b: min(50, int(random.lognormal(2.0, 1.2))) for b in behaviors}
        sizes = {"one": lambda name: None, "candidate": lambda name: 10,
                 "position": lambda name: lengths[name.split("_")[0]]}
        row = {f.name: random.integers(0, 10**6, sizes[f.values](f.name)).tolist()
               for f in requests.record_features}
        bytes_of_requests += len(encode_example(row, requests))
        bytes_of_impressions += sum(len(encode_example(
            {name: value[i] if name in requests.candidate_lists else value
             for name, value in row.items()},
            impressions)) for i in range(10))
    assert bytes_of_requests < bytes_of_impressions / 4


VECTORS = Schema.from_dict({
    "layout": "request", "vocabularies": [{"name": "tag", "kind": "identity", "size": 9}],
    "features": [
        {"name": "image", "level": "candidate", "size": 2, "feature": "dense", "length": 3},
        {"name": "score", "level": "candidate", "feature": "dense", "offset": 2},
        {"name": "user", "level": "request", "size": 2, "dtype": "int64", "default": -1},
        {"name": "tags", "level": "request", "vocabulary": "tag", "multiple": True,
         "optional": True}],
    "tasks": [{"name": "click", "label": "y"}]})
DENSE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_vectors_of_candidates():
    raw = parse_examples(tf.constant([
        encode_example({"dense": DENSE, "user": [7, 8], "tags": [3], "y": [0, 1]}, VECTORS),
        encode_example({"dense": DENSE[:3], "y": [1]}, VECTORS)]), VECTORS)
    assert raw["image"].numpy().tolist() == [[1, 2], [4, 5], [1, 2]]
    assert raw["score"].numpy().tolist() == [3, 6, 3]
    assert raw["user"].numpy().tolist() == [[7, 8], [-1, -1]]
    assert raw["tags"].to_list() == [[3], []]
    assert raw[REQUEST_INDEX].numpy().tolist() == [0, 0, 1]
    assert raw["y"].numpy().tolist() == [0, 1, 1]


@pytest.mark.parametrize("row, message", [
    ({"dense": DENSE[:5], "y": [0, 1]},
     r"feature 'dense' should be a list of 3 numbers per candidate\. Received: 5 values\. Correct"),
    ({"dense": DENSE, "y": [0]},
     r"the lists of candidates should be of equal length\. Received lengths: \{'dense': 2, "),
    ({"dense": [], "y": []}, r"such as 'dense', should hold at least one value"),
    ({"dense": DENSE, "y": [0, 1], "user": [1]},
     r"feature 'user' should be a list of 2 64-bit integers\. Received: 1 values"),
    ({"dense": DENSE, "y": [0, 1], "tags": 3}, r"feature 'tags' of a row should be a list of 64-"),
])
def test_vectors_of_another_length(row, message):
    with pytest.raises(DataError, match=message):
        encode_example(row, VECTORS)


@pytest.mark.parametrize("values, message", [
    (DENSE[:5], r"feature 'dense' should be a list of 3 numbers per candidate\. Received:.*5"),
    (DENSE[:3], r"the lists of candidates should be as long as 'dense' in every record"),
])
def test_parse_rejects_vectors_of_another_length(values, message):
    whole = encode_example({"dense": DENSE, "y": [0, 1]}, VECTORS)
    damaged = _with(whole, "dense", float_list={"value": values})
    for parse in (parse_examples, tf.function(parse_examples)):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            parse(tf.constant([whole, damaged]), VECTORS)
        assert re.search(message, _text(error))
    with pytest.raises(DataError, match="dense"):
        check_examples(damaged, VECTORS, "f, record 3")
