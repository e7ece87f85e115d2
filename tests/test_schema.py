import copy
import dataclasses
import subprocess
import sys

import pytest
import yaml

from dtrn_tf.errors import SchemaError, UserError
from dtrn_tf.schema import (
    BehaviorSequence, CategoricalFeature, GroupKey, NumericFeature, RecordFeature, Schema,
    SequenceFeature, Task, Vocabulary, load_schema, save_schema,
)

CONFIG = {
    "vocabularies": [
        {"name": "item", "size": 5, "file": "vocabularies/item.txt"},
        {"name": "city", "kind": "hash", "size": 11, "dtype": "string"},
        {"name": "tab", "kind": "identity", "size": 7},
    ],
    "features": [
        {"name": "item", "vocabulary": "item", "level": "candidate"},
        {"name": "city", "vocabulary": "city", "level": "request"},
        {"name": "age", "level": "request"},
        {"name": "duration", "level": "candidate", "transform": "log1p"},
    ],
    "behaviors": [
        {"name": "exposed", "max_length": 3, "features": [
            {"name": "exposed_item", "vocabulary": "item"},
            {"name": "exposed_tab", "vocabulary": "tab"}]},
        {"name": "liked", "max_length": 2,
         "features": [{"name": "liked_item", "vocabulary": "item"}]},
    ],
    "tasks": [
        {"name": "click", "label": "is_click"},
        {"name": "order", "label": "code", "one_of": [4, 5], "weight": 2.5},
        {"name": "long_view", "label": "play_time", "dtype": "float32", "at_least": 7},
        {"name": "rating", "label": "stars", "dtype": "float32", "kind": "regression",
         "mask": "is_click"},
    ],
    "sample_weight": "row_weight",
    "group": {"name": "user_id", "dtype": "string"},
}


def _changed(*path_and_value, config=None):
    """CONFIG with the value at a path replaced; `...` removes the key."""
    config = copy.deepcopy(config or CONFIG)
    *path, key, value = path_and_value
    part = config
    for step in path:
        part = part[step]
    if value is ...:
        del part[key]
    elif isinstance(part, list) and key == len(part):
        part.append(value)
    else:
        part[key] = value
    return config


def test_from_dict_builds_every_part():
    schema = Schema.from_dict(CONFIG)
    assert schema.vocabularies[0] == Vocabulary(name="item", size=5, file="vocabularies/item.txt")
    assert schema.features == (
        CategoricalFeature(name="item", vocabulary="item", level="candidate"),
        CategoricalFeature(name="city", vocabulary="city", level="request"),
        NumericFeature(name="age", level="request"),
        NumericFeature(name="duration", level="candidate", transform="log1p"))
    assert schema.behaviors[1] == BehaviorSequence(
        name="liked", max_length=2,
        features=(SequenceFeature(name="liked_item", vocabulary="item"),))
    assert schema.tasks[1] == Task(name="order", label="code", one_of=(4, 5), weight=2.5)
    assert schema.sample_weight == "row_weight"
    assert schema.group == GroupKey(name="user_id", dtype="string")


def test_views():
    schema = Schema.from_dict(CONFIG)
    assert [f.name for f in schema.categorical_features] == ["item", "city"]
    assert [f.name for f in schema.numeric_features] == ["age", "duration"]
    assert [f.name for f in schema.sequence_features] == ["exposed_item", "exposed_tab",
                                                          "liked_item"]
    assert [f.name for f in schema.id_features] == ["item", "city", "exposed_item", "exposed_tab",
                                                    "liked_item"]
    assert schema.task_names == ("click", "order", "long_view", "rating")
    assert schema.vocabulary("city").num_rows == 13
    assert schema.behaviors[1].length_name == "liked_length"


def test_record_features_hold_everything_once():
    features = Schema.from_dict(CONFIG).record_features
    assert all(f.size == 1 and f.default is None and not f.is_optional for f in features)
    assert [(f.name, f.dtype, f.role, f.values) for f in features] == [
        ("item", "int64", "input", "one"), ("city", "string", "input", "one"),
        ("age", "float32", "input", "one"), ("duration", "float32", "input", "one"),
        ("exposed_item", "int64", "input", "position"),
        ("exposed_tab", "int64", "input", "position"),
        ("liked_item", "int64", "input", "position"),
        # `is_click` is a label and the mask of another task: there once.
        ("is_click", "int64", "label", "one"), ("code", "int64", "label", "one"),
        ("play_time", "float32", "label", "one"), ("stars", "float32", "label", "one"),
        ("row_weight", "float32", "label", "one"), ("user_id", "string", "group", "one")]


def test_records_of_requests_hold_lists_of_candidates():
    schema = Schema.from_dict({"layout": "request", **CONFIG})
    assert {f.values: [g.name for g in schema.record_features if g.values == f.values]
            for f in schema.record_features} == {
        "candidate": ["item", "duration", "is_click", "code", "play_time", "stars", "row_weight"],
        "one": ["city", "age", "user_id"],
        "position": ["exposed_item", "exposed_tab", "liked_item"]}
    assert schema.candidate_lists == ("item", "duration", "is_click", "code", "play_time", "stars",
                                      "row_weight")
    assert Schema.from_dict(CONFIG).candidate_lists == ()
    assert [f.name for f in schema.record_features] == [
        f.name for f in Schema.from_dict(CONFIG).record_features]
    assert schema.to_dict() == {"layout": "request", **CONFIG}


def test_a_mask_of_its_own_is_an_integer():
    schema = Schema.from_dict(_changed("tasks", 3, "mask", "was_rated"))
    assert RecordFeature(name="was_rated", dtype="int64", role="label") in schema.record_features


# A log as it is: names that are no identifiers, byte ids, lists, one long vector, times.
LOG = {
    "vocabularies": [
        {"name": "item", "kind": "hash", "size": 1000, "dtype": "string"},
        {"name": "user", "kind": "hash", "size": 100, "dtype": "string"},
        {"name": "tag", "kind": "identity", "size": 20},
        {"name": "gap", "kind": "log_bucket", "size": 60, "resolution": 2.0},
        {"name": "price", "kind": "log_bucket", "size": 10, "dtype": "float32"},
    ],
    "features": [
        {"name": "item", "vocabulary": "item", "level": "candidate", "feature": "item-id"},
        {"name": "user", "vocabulary": "user", "level": "request", "feature": "user-id",
         "default": ""},
        {"name": "tags", "vocabulary": "tag", "level": "candidate", "feature": "616",
         "multiple": True, "pooling": "sum", "weights": "616/weights", "optional": True,
         "padding": 0},
        {"name": "price", "vocabulary": "price", "level": "candidate", "default": 0},
        {"name": "user_vector", "level": "request", "feature": "dense", "size": 512,
         "length": 615},
        {"name": "rank", "level": "request", "feature": "dense", "offset": 614},
        {"name": "views", "level": "candidate", "dtype": "int64", "transform": "log1p",
         "default": 0},
    ],
    "behaviors": [
        {"name": "clicked", "max_length": 50, "features": [
            {"name": "clicked_item", "vocabulary": "item", "feature": "click list"},
            {"name": "clicked_gap", "vocabulary": "gap", "feature": "click times", "gap": True}],
         "order": "newest_first", "optional": True, "padding": "0"},
    ],
    "time": {"name": "now", "feature": "request-ts"},
    "tasks": [
        {"name": "click", "label": "label", "at_least": 1, "default": 0},
        {"name": "order", "label": "label", "one_of": [4, 5], "default": 0},
    ],
    "group": {"name": "user_key", "dtype": "string", "feature": "user-id", "default": ""},
}


def _log(*path_and_value):
    return _changed(*path_and_value, config=LOG)


def test_a_log_as_it_is():
    schema = Schema.from_dict(LOG)
    assert schema.to_dict() == LOG
    assert schema.record_features == (
        RecordFeature(name="item-id", dtype="string"),
        # The input and the group key read it.
        RecordFeature(name="user-id", dtype="string", default=""),
        RecordFeature(name="616", dtype="int64", values="many", default=()),
        RecordFeature(name="616/weights", dtype="float32", values="many", default=()),
        RecordFeature(name="price", dtype="float32", default=0),
        # Two features read it, one says how long it is.
        RecordFeature(name="dense", dtype="float32", values="vector", size=615),
        RecordFeature(name="views", dtype="int64", default=0),
        RecordFeature(name="click list", dtype="string", values="position", default=()),
        RecordFeature(name="click times", dtype="int64", values="position", default=()),
        RecordFeature(name="request-ts", dtype="int64"),
        RecordFeature(name="label", dtype="int64", role="label", default=0))
    assert {f.name for f in schema.record_features if f.is_list} == {
        "616", "616/weights", "click list", "click times"}
    assert schema.aligned_features == (
        ("the sequences of behaviour 'clicked'", ("click list", "click times")),
        ("ids and weights of feature 'tags'", ("616", "616/weights")))
    assert schema.multiple_features == schema.features[2:3]
    assert schema.candidate_lists == ()


def test_vectors_of_candidates_are_one_list():
    schema = Schema.from_dict({
        "layout": "request", "vocabularies": [], "tasks": [{"name": "click", "label": "y"}],
        "features": [{"name": "image", "level": "candidate", "size": 7},
                     {"name": "user", "level": "request", "size": 5}]})
    assert schema.record_features == (
        RecordFeature(name="image", dtype="float32", values="candidate", size=7),
        RecordFeature(name="user", dtype="float32", values="vector", size=5),
        RecordFeature(name="y", dtype="int64", role="label", values="candidate"))
    assert schema.aligned_features == (("the lists of candidates", ("image", "y")),)


def test_dict_round_trip_is_exact_and_leaves_defaults_out():
    assert Schema.from_dict(CONFIG).to_dict() == CONFIG


def test_yaml_round_trip(tmp_path):
    schema = Schema.from_dict(CONFIG)
    save_schema(schema, tmp_path / "schema.yaml")
    assert load_schema(tmp_path / "schema.yaml") == schema
    assert yaml.safe_load((tmp_path / "schema.yaml").read_text()) == CONFIG
    assert [path.name for path in tmp_path.iterdir()] == ["schema.yaml"]


def test_parts_that_may_be_left_out():
    config = {key: CONFIG[key] for key in ("vocabularies", "features", "tasks")}
    schema = Schema.from_dict({**config, "group": None, "sample_weight": None})
    assert (schema.behaviors, schema.sample_weight, schema.group) == ((), None, None)
    assert schema.to_dict() == config


def test_schemas_are_frozen_and_hashable():
    schema = Schema.from_dict(CONFIG)
    assert hash(schema) == hash(Schema.from_dict(CONFIG))
    with pytest.raises(dataclasses.FrozenInstanceError):
        schema.sample_weight = "x"


MISTAKES = {
    # Keys
    "not_a_mapping": ([], r"^the schema should be a mapping of keys to values\. Received: \[\]"),
    "nothing": (None, r"^the schema should be a mapping of keys to values\. Received: None"),
    "unknown_key": (
        _changed("behaviours", []),
        r"^keys of the schema should be among \['layout', 'vocabularies', 'features', "
        r"'behaviors', 'time', 'tasks', 'sample_weight', 'group'\]\. Received unknown: "
        r"\['behaviours'\]"),
    "missing_key": (
        _changed("tasks", ...),
        r"^the schema should have the keys \['features', 'tasks', 'vocabularies'\]\. "
        r"Missing: \['tasks'\]"),
    "unknown_key_of_part": (
        _changed("tasks", 1, "lable", "x"),
        r"^keys of tasks\[1\] should be among \['name', 'label', .*\]\. Received unknown: "
        r"\['lable'\]"),
    "key_is_no_text": (_changed("tasks", 0, 3, "x"), r"^keys of tasks\[0\] .* unknown: \['3'\]"),
    "task_without_label": (
        _changed("tasks", 1, "label", ...),
        r"^tasks\[1\] should have the keys \['label', 'name'\]\. Missing: \['label'\]"),
    "feature_without_level": (
        _changed("features", 0, "level", ...),
        r"^features\[0\] should have the keys \['level', 'name', 'vocabulary'\]\. "
        r"Missing: \['level'\]"),
    "misspelt_vocabulary_key": (
        _changed("features", 0, {"name": "item", "vocab": "item", "level": "candidate"}),
        r"^keys of features\[0\] .* Received unknown: \['vocab'\]"),
    "sequence_without_vocabulary": (
        _changed("behaviors", 0, "features", 1, "vocabulary", ...),
        r"^behaviors\[0\]: features\[1\] should have the keys .* Missing: \['vocabulary'\]"),
    "not_a_list": (_changed("tasks", {}), r"^`tasks` should be a list\. Received: \{\}"),
    "text_for_a_list": (_changed("features", "age"), r"`features` should be a list\. .*'age'"),
    "none_for_a_list": (_changed("behaviors", None), r"`behaviors` should be a list\. .*None"),
    "part_is_no_mapping": (
        _changed("features", 0, "item"),
        r"^features\[0\] should be a mapping of keys to values\. Received: 'item'"),
    "one_of_is_no_list": (
        _changed("tasks", 1, "one_of", 4), r"^tasks\[1\]: `one_of` should be a list\. Received: 4"),
    # Names
    "two_features": (
        _changed("features", 2, "name", "item"),
        r"every feature should have a name of its own\. Received more than once: \['item'\]"),
    "feature_and_sequence": (
        _changed("behaviors", 1, "features", 0, "name", "item"),
        r"every feature should have a name of its own\. Received more than once: \['item'\]"),
    "two_vocabularies": (
        _changed("vocabularies", 2, "name", "city"),
        r"every vocabulary should have a name of its own\. .*\['city'\]"),
    "two_tasks": (_changed("tasks", 3, "name", "order"), r"every task should .*\['order'\]"),
    "two_behaviors": (
        _changed("behaviors", 1, "name", "exposed"), r"every behaviour should .*\['exposed'\]"),
    "vocabulary_name": (
        _changed("vocabularies", 0, "name", "an item"),
        r"^vocabularies\[0\]: `name` of a vocabulary should be a name of letters.*'an item'"),
    "feature_name": (
        _changed("features", 0, "name", 7), r"^features\[0\]: `name` of a categorical .*: 7"),
    "numeric_name": (
        _changed("features", 2, "name", "2x"), r"^features\[2\]: `name` of a numeric .*'2x'"),
    "sequence_name": (
        _changed("behaviors", 0, "features", 0, "name", ""),
        r"^behaviors\[0\]: features\[0\]: `name` of a sequence feature should"),
    "behavior_name": (
        _changed("behaviors", 0, "name", True), r"^behaviors\[0\]: `name` of a behaviour .*True"),
    "task_name": (_changed("tasks", 0, "name", "a-b"), r"^tasks\[0\]: `name` of a task .*'a-b'"),
    "group_name": (_changed("group", "name", None), r"^group: `name` of the group key .*None"),
    # Values
    "vocabulary_kind": (
        _changed("vocabularies", 1, "kind", "hashed"),
        r"^vocabularies\[1\]: `kind` of vocabulary 'city' should be one of \['file', 'hash', "
        r"'identity', 'log_bucket'\]\. Received: 'hashed'"),
    "vocabulary_dtype": (
        _changed("vocabularies", 1, "dtype", "int32"), r"`dtype` of vocabulary 'city'.*'int32'"),
    "vocabulary_size": (
        _changed("vocabularies", 1, "size", 0),
        r"`size` of vocabulary 'city' should be a whole number >= 1\. Received: 0"),
    "vocabulary_size_text": (
        _changed("vocabularies", 1, "size", "11"), r"whole number >= 1\. Received: '11'"),
    "vocabulary_size_bool": (
        _changed("vocabularies", 1, "size", True), r"whole number >= 1\. Received: True"),
    "identity_of_strings": (
        _changed("vocabularies", 2, "dtype", "string"),
        r"`dtype` of vocabulary 'tab' should be 'int64' for kind 'identity'\. .*'string'"),
    "file_vocabulary_without_file": (
        _changed("vocabularies", 0, "file", ...),
        r"`file` of vocabulary 'item' should be a path for kind 'file' and absent for other "
        r"kinds\. Received: kind='file', file=None"),
    "hash_vocabulary_with_file": (
        _changed("vocabularies", 1, "file", "x.txt"), r"Received: kind='hash', file='x\.txt'"),
    "unknown_vocabulary": (
        _changed("features", 0, "vocabulary", "itm"),
        r"^`vocabulary` of feature 'item' should be one of \['item', 'city', 'tab'\]\. "
        r"Received: 'itm'"),
    "unknown_vocabulary_of_sequence": (
        _changed("behaviors", 1, "features", 0, "vocabulary", "itm"),
        r"^`vocabulary` of feature 'liked_item' should be one of .*'itm'"),
    "level": (
        _changed("features", 0, "level", "user"),
        r"`level` of feature 'item' should be one of \['request', 'candidate'\]\. .*'user'"),
    "numeric_level": (_changed("features", 2, "level", None), r"`level` of feature 'age'.*None"),
    "transform": (
        _changed("features", 2, "transform", "log"),
        r"^features\[2\]: `transform` of feature 'age' should be one of \['identity', 'log1p'\]"),
    "max_length": (
        _changed("behaviors", 0, "max_length", 0),
        r"^behaviors\[0\]: `max_length` of behaviour 'exposed' should be a whole number >= 1"),
    "behavior_without_features": (
        _changed("behaviors", 0, "features", []),
        r"^behaviors\[0\]: `features` of behaviour 'exposed' should name at least the item"),
    "task_label": (
        _changed("tasks", 0, "label", None),
        r"^tasks\[0\]: `label` of task 'click' should name a feature of the records\. .*None"),
    "task_mask": (
        _changed("tasks", 0, "mask", 1),
        r"^tasks\[0\]: `mask` of task 'click' should name a feature of the records\. Received: 1"),
    "task_dtype": (
        _changed("tasks", 0, "dtype", "bool"),
        r"`dtype` of task 'click' should be one of \['int64', 'float32'\]\. Received: 'bool'"),
    "task_kind": (
        _changed("tasks", 0, "kind", "multiclass"),
        r"`kind` of task 'click' should be one of \['binary', 'regression'\]"),
    "task_weight": (
        _changed("tasks", 0, "weight", -1.0),
        r"^tasks\[0\]: `weight` of task 'click' should be a number >= 0\.0\. Received: -1\.0"),
    "task_weight_nan": (_changed("tasks", 0, "weight", float("nan")), r"`weight` of .*nan"),
    "at_least_text": (
        _changed("tasks", 2, "at_least", "7"), r"`at_least` of task 'long_view' should .*'7'"),
    "at_least_nan": (
        _changed("tasks", 2, "at_least", float("nan")), r"`at_least` of task 'long_view'.*nan"),
    "one_of_empty": (
        _changed("tasks", 1, "one_of", []),
        r"^tasks\[1\]: `one_of` of task 'order' should list at least one code\. Received: \[\]"),
    "one_of_text": (
        _changed("tasks", 1, "one_of", [4, "buy"]),
        r"^tasks\[1\]: every code in `one_of` of task 'order' should be a number.*'buy'"),
    "two_rules": (
        _changed("tasks", 1, "at_least", 1),
        r"^tasks\[1\]: the label rule of task 'order' should be at most one of `at_least` and "
        r"`one_of`, and none for a regression\. Received: at_least=1, one_of=\(4, 5\)"),
    "regression_with_rule": (
        _changed("tasks", 3, "at_least", 1), r"the label rule of task 'rating'.*'regression'"),
    "group_dtype": (
        _changed("group", "dtype", "float32"),
        r"^group: `dtype` of group key 'user_id' should be one of \['int64', 'string'\]"),
    "sample_weight": (
        _changed("sample_weight", 1.0),
        r"^`sample_weight` should name a feature of the records\. Received: 1\.0"),
    # Parts that do not fit together
    "no_tasks": (_changed("tasks", []), r"^`tasks` should hold at least one task\. .*none"),
    "no_features": (_changed("features", []), r"^`features` should hold at least one feature\."),
    "label_is_input": (
        _changed("tasks", 2, "label", "duration"),
        r"^feature 'duration' should be either an input or a label, label mask or sample weight\. "
        r"Received: both \(this leaks the label\)"),
    "mask_is_input": (_changed("tasks", 0, "mask", "item"), r"^feature 'item' should be either"),
    "label_is_sequence": (
        _changed("tasks", 0, "label", "liked_item"), r"^feature 'liked_item' should be either"),
    "sample_weight_is_input": (
        _changed("sample_weight", "age"), r"^feature 'age' should be either an input or a label"),
    "sample_weight_is_label": (
        _changed("sample_weight", "play_time"),
        r"^`sample_weight` should be a feature of its own\. Received: 'play_time', which is a"),
    "group_is_input": (
        _changed("group", "name", "city"),
        r"^group key 'city' should have a name of its own, as it reaches the metrics raw\. "
        r"Received: the name of an input too\. Give it another `name`, and this one as "
        r"`feature`"),
    "group_is_label": (
        _changed("group", "name", "code"), r"^group key 'code' should be a feature of its own"),
    "labels_of_two_types": (
        _changed("tasks", 2, "label", "is_click"),
        r"^`dtype` of task 'long_view' should equal that of other tasks with label 'is_click'\. "
        r"Received: 'float32'"),
    "layout": (
        {**CONFIG, "layout": "session"},
        r"^`layout` should be one of \['impression', 'request'\]\. Received: 'session'"),
    "requests_without_candidates": (
        {**CONFIG, "layout": "request", "features": CONFIG["features"][1:3]},
        r"^`features` of layout 'request' should hold a feature of level 'candidate', which tells "
        r"how many candidates a request has\. Received: none"),
    "request_index_as_feature": (
        _changed("features", 2, "name", "request_index"),
        r"^feature 'request_index' should have another name, as a batch of requests says under it "
        r"to which request a candidate belongs\. Received: this name"),
    "request_index_as_sequence": (
        _changed("behaviors", 1, "features", 0, "name", "request_index"), r"'request_index'"),
    "request_index_as_label": (_changed("tasks", 1, "label", "request_index"), r"'request_index'"),
    "request_index_as_mask": (_changed("tasks", 3, "mask", "request_index"), r"'request_index'"),
    "request_index_as_weight": ({**CONFIG, "sample_weight": "request_index"}, r"'request_index'"),
    "request_index_as_group": (_changed("group", "name", "request_index"), r"'request_index'"),
    "name_of_a_length": (
        _changed("features", 2, "name", "liked_length"),
        r"^feature 'liked_length' should have another name, as servers give the number of "
        r"positions of behaviour 'liked' under it"),
}


LOG_MISTAKES = {
    # Values
    "feature": (
        _log("features", 0, "feature", 616),
        r"^features\[0\]: `feature` of feature 'item' should name a feature of the records\. "
        r"Received: 616"),
    "numeric_feature": (_log("features", 4, "feature", ""), r"`feature` of feature 'user_vector'"),
    "sequence_feature": (
        _log("behaviors", 0, "features", 0, "feature", 7), r"`feature` of feature 'clicked_item'"),
    "group_feature": (_log("group", "feature", 7), r"^group: `feature` of group key 'user_key'"),
    "time_feature": (_log("time", "feature", 7), r"^time: `feature` of request time 'now'"),
    "time_name": (_log("time", "name", "request-ts"), r"^time: `name` of the request time should"),
    "time_dtype": (
        _log("time", "dtype", "string"),
        r"^time: `dtype` of request time 'now' should be one of \['int64', 'float32'\]"),
    "weights": (_log("features", 2, "weights", 1), r"`weights` of feature 'tags' should name a"),
    "multiple": (
        _log("features", 2, "multiple", "yes"),
        r"^features\[2\]: `multiple` of feature 'tags' should be true or false\. Received: 'yes'"),
    "optional": (
        _log("features", 2, "optional", 1),
        r"`optional` of feature 'tags' should be true"),
    "optional_behavior": (
        _log("behaviors", 0, "optional", []),
        r"^behaviors\[0\]: `optional` of behaviour 'clicked' should be true or false\. .*\[\]"),
    "gap": (_log("behaviors", 0, "features", 1, "gap", "now"), r"`gap` of feature 'clicked_gap'"),
    "order": (
        _log("behaviors", 0, "order", "newest"),
        r"`order` of behaviour 'clicked' should be one of \['newest_last', 'newest_first'\]"),
    "pooling": (
        _log("features", 2, "pooling", "max"),
        r"`pooling` of feature 'tags' should be one of \['mean', 'sum'\]\. Received: 'max'"),
    "lists_only": (
        _log("features", 2, "multiple", False),
        r"^features\[2\]: \['pooling', 'weights', 'optional', 'padding'\] of feature 'tags' "
        r"should be given with `multiple: true` only\. Received: one value a row \(whose absence "
        r"`default` allows\)"),
    "default_of_list": (
        _log("features", 2, "default", 3),
        r"^features\[2\]: `default` of feature 'tags' should be given for one value a row only\. "
        r"Received: 3 for a list, whose absence `optional: true` allows"),
    "offset": (
        _log("features", 5, "offset", -1),
        r"`offset` of feature 'rank' should be a whole number >= 0\. Received: -1"),
    "size": (_log("features", 4, "size", 0), r"`size` of feature 'user_vector' should be a whole"),
    "length": (
        _log("features", 4, "length", 511),
        r"`length` of feature 'user_vector', from its offset on, should be a whole number >= 512"),
    "numeric_dtype": (
        _log("features", 6, "dtype", "string"),
        r"`dtype` of feature 'views' should be one of \['float32', 'int64'\]"),
    "numeric_default": (
        _log("features", 6, "default", 0.5),
        r"^features\[6\]: a default or padding of feature 'views' should be of dtype 'int64'\. "
        r"Received: 0\.5"),
    "default": (
        _log("features", 1, "default", 0),
        r"^a default or padding of feature 'user' should be of dtype 'string'\. Received: 0"),
    "padding": (
        _log("features", 2, "padding", "0"),
        r"^a default or padding of feature 'tags' should be of dtype 'int64'\. Received: '0'"),
    "behavior_padding": (
        _log("behaviors", 0, "padding", True),
        r"^a default or padding of behaviour 'clicked' should be of dtype 'string'\. Received: "
        r"True"),
    "task_default": (
        _log("tasks", 0, "default", "no"),
        r"^tasks\[0\]: a default or padding of task 'click' should be of dtype 'int64'\. .*'no'"),
    "group_default": (
        _log("group", "default", 0),
        r"of group key 'user_key' should be of dtype 's"),
    "log_bucket_of_strings": (
        _log("vocabularies", 3, "dtype", "string"),
        r"^vocabularies\[3\]: `dtype` of vocabulary 'gap' should be 'int64' or 'float32' for kind "
        r"'log_bucket'\. Received: 'string'"),
    "hash_of_floats": (
        _log("vocabularies", 0, "dtype", "float32"),
        r"'int64' or 'string' for kind"),
    "resolution": (
        _log("vocabularies", 3, "resolution", -1),
        r"`resolution` of vocabulary 'gap' should be a number >= 0"),
    "resolution_of_hash": (
        _log("vocabularies", 0, "resolution", 2),
        r"`resolution` of vocabulary 'item' should be given for kind 'log_bucket' only\. Received: "
        r"2 for kind 'hash'"),
    "too_many_buckets": (
        _log("vocabularies", 3, "size", 127),
        r"`size` of vocabulary 'gap' should be at most 63 times `resolution`: no number falls into "
        r"further buckets\. Received: size=127, resolution=2\.0"),
    # Parts that do not fit together
    "gap_without_time": (
        _log("time", ...),
        r"^`time` should be given if a sequence feature has `gap: true`, and only then\. Received: "
        r"time=None, gaps: \['clicked_gap'\]"),
    "time_without_gap": (
        _log("behaviors", 0, "features", 1, "gap", False), r"only then\. .*time='now', gaps: \[\]"),
    "gap_in_hash": (
        _log("behaviors", 0, "features", 1, "vocabulary", "tag"),
        r"^`vocabulary` of the gaps 'clicked_gap' should be of kind 'log_bucket' and, like `time`, "
        r"of dtype 'int64'\. Received: kind 'identity', dtype 'int64'"),
    "gap_of_other_type": (
        _log("time", "dtype", "float32"),
        r"of dtype 'float32'\. Received: kind 'log_bucket', dtype"),
    "label_is_source": (
        _log("tasks", 0, "label", "dense"),
        r"^feature 'dense' should be either an input or a label, label mask or sample weight"),
    "label_is_weights": (_log("tasks", 0, "label", "616/weights"), r"leaks the label"),
    "label_is_name": (
        _log("features", 0, "name", "label"),
        r"^feature 'label' should have another name, as a label, label mask or sample weight of "
        r"the records has it\. Received: this name"),
    "group_is_label": (
        _log("group", "feature", "label"), r"^group key 'label' should be a feature of its own\. "),
    "group_is_time": (
        _log("group", "name", "now"), r"^'now' should have another name, as the request time has"),
    "name_of_number_of_values": (
        _log("features", 0, "name", "tags_length"),
        r"^feature 'tags_length' should have another name, as servers give the number of values of "
        r"feature 'tags' under it"),
    "name_of_weights": (
        _log("features", 0, "name", "tags_weights"), r"as the weights of feature 'tags' have it"),
    "two_lengths": (
        _log("behaviors", 0, "name", "tags"), r"^'tags_length' should have another name, as ser"),
    "one_value_and_list": (
        _log("features", 0, "feature", "616"),
        r"^all that reads feature '616' of the records should agree about it\. Received: one \(dty"
        r"pe='string', size=1, default=None\), and many \(dtype='int64', size=1, default=\(\)\)"),
    "two_defaults": (
        _log("group", "default", ...), r"^all that reads feature 'user-id' of the records should"),
    "list_of_candidates": (
        {**LOG, "layout": "request"},
        r"^feature 'tags' of the candidates should have one value each with layout 'request', as "
        r"an Example cannot hold a list of lists\. Received: multiple=True\. Write impressions, or "
        r"one feature per place in the list"),
    "default_of_candidates": (
        {**_log("features", 2, "level", "request"), "layout": "request"},
        r"^`default` of 'price' should be absent with layout 'request': a record without the list "
        r"does not tell how many values it would have\. Received: 0"),
}
MISTAKES |= {f"log_{name}": mistake for name, mistake in LOG_MISTAKES.items()}


@pytest.mark.parametrize("config, message", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_error(config, message):
    with pytest.raises(SchemaError, match=message) as error:
        Schema.from_dict(config)
    assert "\n" not in str(error.value) and isinstance(error.value, UserError)


def test_load_names_the_file_in_front(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text(yaml.safe_dump(_changed("tasks", 1, "label", ...)))
    with pytest.raises(SchemaError, match=rf"^{path}: tasks\[1\] should have the keys"):
        load_schema(path)


def test_load_missing_file(tmp_path):
    path = tmp_path / "schema.yaml"
    with pytest.raises(SchemaError, match=rf"^{path}: the schema should be a readable YAML file\. "
                                          r"Received: No such file or directory"):
        load_schema(path)


@pytest.mark.parametrize("content, message", [
    (b"tasks: [", r"should be YAML\. Received: .*line 1"),
    (b"tasks: \xff", r"should be YAML\. Received: .*0xff"),
    (b"", r"the schema should be a mapping of keys to values\. Received: None"),
])
def test_load_bad_yaml(tmp_path, content, message):
    path = tmp_path / "schema.yaml"
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=rf"(?s)^{path}: {message}"):
        load_schema(path)


def test_the_schema_imports_no_tensorflow():
    code = ("import sys, dtrn_tf.schema\n"
            "found = {'tensorflow', 'keras', 'tf_keras', 'numpy'} & set(sys.modules)\n"
            "assert not found, found")
    subprocess.run([sys.executable, "-c", code], check=True)
