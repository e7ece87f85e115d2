import copy
import datetime
import os
import pathlib

import pytest
import yaml

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec, load_prepare_spec
from dtrn_tf.errors import SchemaError

ROOT = pathlib.Path(__file__).parents[3]

CONFIG = yaml.safe_load("""
source: tables
tables: {interactions: log.csv, items: items.csv}
columns: {user: user, item: item, time: time}
splits: {train_until: 2024-01-03, valid_until: 2024-01-05}
behaviors: {seen: [], bought: [purchase]}
sequences:
  - {behavior: bought, max_length: 3, sides: [brand, recency]}
past_statistics:
  - {name: past_rate, kind: rate, behavior: bought, prior: 0.1}
prehistory: {lists: {bought: bought_before}}
features:
  - {name: item, table: interactions, column: item, level: candidate}
  - {name: brand, table: items, column: brand}
tasks:
  - {name: buy, label: purchase}
""")


def changed(*path, to):
    config = copy.deepcopy(CONFIG)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return config


def test_the_spec_is_read():
    spec = PrepareSpec.from_dict(CONFIG)
    assert spec.behaviors == {"seen": (), "bought": ("purchase",)}
    assert spec.splits.train_until == datetime.date(2024, 1, 3)
    assert [f.name for f in spec.side_features] == ["item", "brand"]
    assert spec.feedback_columns == ("purchase",)
    assert spec.needed_columns("interactions") == ("user", "item", "time", "purchase")
    assert spec.needed_columns("items") == ("item", "brand")


@pytest.mark.parametrize("name", ["kuairand", "deskdrop", "taobao", "synthetic"])
def test_our_specs_are_read(name):
    spec = load_prepare_spec(os.path.join(ROOT, "configs", name, "prepare.yaml"))
    assert spec.source == name


FEATURE = {"name": "x", "table": "items", "column": "x"}


@pytest.mark.parametrize("path, to, message", [
    (("source",), "hive", "`source` should be one of .*'tables'.* Received: 'hive'"),
    (("sources",), 1, r"keys of the prepare spec .* unknown: \['sources'\]"),
    (("columns", "time_unit"), "ns", "columns: `time_unit` should be one of"),
    (("columns", "user"), 3, "columns: `user` should be text. Received: 3"),
    (("columns", "utc_offset_hours"), "x", "`utc_offset_hours` should be a number"),
    (("columns", "request"), 3, "columns: `request` should be text. Received: 3"),
    (("request_window_seconds",), -1, "`request_window_seconds` should be a number >= 0"),
    (("splits", "train_until"), "2024-01-03", "a split should end at a day like 2022-05-03"),
    (("splits", "valid_until"), datetime.date(2024, 1, 1), "should be in the order train_from"),
    (("splits", "train_from"), datetime.date(2024, 2, 1), "should be in the order train_from"),
    (("splits",), {}, r"splits should have the keys .* Missing: \['train_until', 'valid_until'\]"),
    (("behaviors",), ["seen"], "`behaviors` should be a mapping"),
    (("behaviors", "a b"), [], "a key of `behaviors` should be a name of letters"),
    (("behaviors", "bought"), "purchase", "`behaviors.bought` should be a list"),
    (("behaviors", "bought"), [1], "a column of `behaviors.bought` should be text"),
    (("sequences", 0, "behavior"), "x", r"`behavior` of a sequence should be one of \['seen'"),
    (("sequences", 0, "max_length"), 0, r"sequences\[0\]: `max_length` of sequence 'bought'"),
    (("sequences", 0, "sides"), ["price"], "a side of sequence 'bought' should be one of"),
    (("sequences", 0, "sides"), ["brand", "brand"], "every side of sequence 'bought'"),
    (("past_statistics", 0, "kind"), "sum", "`kind` of past statistic 'past_rate' should be one"),
    (("past_statistics", 0, "behavior"), None, "`behavior` of past statistic 'past_rate' should"),
    (("past_statistics", 0, "prior"), None, "`prior` of past statistic 'past_rate' should be a"),
    (("past_statistics", 0, "size"), 1, "`size` of past statistic 'past_rate' should be a whole"),
    (("prehistory", "lists"), {"carted": "c"}, "a behaviour of `prehistory` should be one of"),
    (("prehistory", "lists", "bought"), 3, "`lists.bought` should be text. Received: 3"),
    (("features", 1, "table"), "shops", r"features\[1\]: `table` of feature 'brand' should be one"),
    (("features", 1, "kind"), "onehot", "`kind` of feature 'brand' should be one of"),
    (("features", 1, "kind"), "hash", "`size` of feature 'brand' should be a whole number"),
    (("features", 1, "kind"), "hour", "`table` and `column` of feature 'brand' of kind 'hour'"),
    (("features", 1, "level"), "user", "`level` of feature 'brand' should be one of"),
    (("features", 1, "min_count"), 0, "`min_count` of feature 'brand' should be a whole number"),
    (("features", 1, "name"), "recency", "`name` of a feature should not be 'recency'"),
    (("features", 1, "name"), "item", "every feature and past statistic should have a name of"),
    (("features", 1, "name"), "user", "a feature should not have the name of the user column"),
    (("features",), [FEATURE], "a side of sequence 'bought' should be one of"),
    (("features", 1), {**FEATURE, "name": "brand", "table": "interactions", "column": "purchase"},
     r"Received: 'purchase', a label .*leaks the label"),
    (("tasks",), [], "`tasks` should hold at least one task"),
    (("tasks", 0, "name"), "a b", r"tasks\[0\]: `name` of a task should be a name of letters"),
    (("tables",), {"shops": "x.csv"}, "a key of `tables` should be one of"),
    (("tables",), {"items": 3}, "`tables.items` should be text. Received: 3"),
    (("true_probabilities",), {"x": "p"}, "a key of `true_probabilities` should be one of"),
])
def test_mistakes_are_named(path, to, message):
    with pytest.raises(SchemaError, match=message):
        PrepareSpec.from_dict(changed(*path, to=to))


def test_requests_are_told_in_one_way():
    config = changed("columns", "request", to="session")
    spec = PrepareSpec.from_dict(config)
    assert spec.needed_columns("interactions") == ("user", "item", "time", "session", "purchase")
    assert "session" not in spec.needed_columns("items")
    with pytest.raises(SchemaError, match="`request_window_seconds` should be given only where no "
                                          "column .*Received: it and `columns.request`, 'session'"):
        PrepareSpec.from_dict({**config, "request_window_seconds": 60})


def test_sequences_need_the_item():
    config = changed("features", to=[{**FEATURE, "name": "brand"}])
    with pytest.raises(SchemaError, match="`features` should hold the item id .table: interact"):
        PrepareSpec.from_dict(config)


def test_the_file_is_named(tmp_path):
    path = tmp_path / "spec.yaml"
    with pytest.raises(SchemaError, match="spec.yaml: the prepare spec should be a readable YAML"):
        load_prepare_spec(path)
    path.write_text("source: [")
    with pytest.raises(SchemaError, match="spec.yaml: should be YAML. Received"):
        load_prepare_spec(path)
    path.write_text("source: x")
    with pytest.raises(SchemaError, match="spec.yaml: the prepare spec should have the keys"):
        load_prepare_spec(path)
