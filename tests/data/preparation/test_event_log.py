import copy

import numpy as np
import pandas as pd
import pytest
import yaml

from dtrn_tf.data.preparation.event_log import EventLog, impressions_and_labels
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.tables import Tables, merge_duplicates
from dtrn_tf.errors import DataError, SchemaError

DAY = 86_400
CONFIG = yaml.safe_load("""
source: tables
columns: {user: user, item: item, time: time}
splits: {train_until: 1970-01-02, valid_until: 1970-01-03}
event_log:
  type_column: type
  impression: [view]
  labels: {like: [like], talk: [comment, share]}
  later_labels: {again: [view]}
behaviors: {any: [], viewed: [view], liked: [like]}
sequences:
  - {behavior: any, max_length: 9, sides: [device, recency]}
  - {behavior: viewed, max_length: 9}
  - {behavior: liked, max_length: 2}
past_statistics:
  - {name: past_views, kind: count, behavior: viewed, resolution: 8}
  - {name: past_like_rate, kind: rate, behavior: liked, prior: 0.5, strength: 2}
  - {name: past_gap, kind: gap}
features:
  - {name: item, table: interactions, column: item, level: candidate}
  - {name: device, table: interactions, column: device}
tasks:
  - {name: like, label: like}
  - {name: talk, label: talk}
  - {name: again, label: again}
""")
LOG = pd.DataFrame([
    # Day 0: item 1 is liked before its first view of the day, and again after it.
    (7, 1, 10, "like", "a"), (7, 1, 20, "view", "b"), (7, 1, 30, "like", "c"),
    (7, 1, 40, "view", "d"),
    # Item 2 at the same instant as the view of item 1; commented at the instant of its own view.
    (7, 2, 20, "view", "e"), (7, 2, 20, "comment", "f"),
    # Never viewed: history, and no impression.
    (7, 3, 50, "like", "g"),
    # Day 1: item 1 is viewed and shared; what happened on day 0 is no label of day 1.
    (7, 1, DAY + 5, "view", "h"), (7, 1, DAY + 6, "share", "i"),
    # Another user with the same item.
    (8, 1, 25, "view", "j"), (8, 1, DAY + 1, "like", "k"),
], columns=["user", "item", "time", "type", "device"])
SPEC = PrepareSpec.from_dict(CONFIG)


def rows_of(log=LOG, spec=SPEC):
    return list(build_rows(Tables(interactions=log), spec).records())


def changed(*path, to):
    config = copy.deepcopy(CONFIG)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return config


def test_impressions_and_their_labels():
    found = [(r["user"], r["item"], r["device"], r["like"], r["talk"], r["again"])
             for r in rows_of()]
    assert found == [(7, 1, "b", 1, 0, 1), (7, 2, "e", 0, 1, 0), (7, 1, "h", 0, 1, 0),
                     (8, 1, "j", 0, 0, 0)]


def test_events_enter_sequences_at_their_own_times():
    first, second, third, other = rows_of()
    # Before 20: only the like of item 1, not the views at 20.
    for row in (first, second):
        assert (row["any_item"], row["any_device"], row["any_recency"]) == ([1], ["a"], [1 + 3])
        assert row["liked_item"] == [1] and row["viewed_item"] == []
    assert third["any_item"] == [1, 1, 2, 2, 1, 1, 3]
    assert third["any_device"] == ["a", "b", "f", "e", "c", "d", "g"]
    assert third["viewed_item"] == [1, 2, 1]
    assert third["liked_item"] == [1, 3]
    assert other["any_item"] == []


def test_statistics_count_events_and_past_impressions():
    first, _, third, other = rows_of()
    assert [r["past_views"] for r in (first, third, other)] == [0, 16, 0]  # 8 log2(1 + 3)
    # (likes + 1) / (impressions + 2): 1 of 0, 3 of 2.
    assert [r["past_like_rate"] for r in (first, third, other)] == [
        int(32 * 1 / (1 + 0.5)), int(32 * 1 / (1 + 0.5)), 16]
    assert [r["past_gap"] for r in (first, third, other)] == [
        int(np.log2(11)), int(np.log2(1 + DAY - 45)), -1]


def test_the_order_of_the_file_does_not_matter():
    shuffled = LOG.sample(frac=1.0, random_state=3)
    assert rows_of(shuffled) == rows_of()


def test_without_types_every_event_can_be_the_impression():
    spec = PrepareSpec.from_dict(changed("event_log", "impression", to=[]))
    found = [(r["user"], r["item"], r["device"], r["like"], r["again"]) for r in rows_of(spec=spec)]
    assert found == [(7, 1, "a", 1, 1), (7, 2, "f", 0, 0), (7, 3, "g", 1, 0), (7, 1, "h", 0, 0),
                     (8, 1, "j", 0, 0), (8, 1, "k", 1, 0)]


def test_days_are_local():
    columns = {**CONFIG["columns"], "utc_offset_hours": -1}
    log = pd.DataFrame([(7, 1, DAY - 5, "view", "a"), (7, 1, DAY + 3595, "like", "b"),
                        (7, 1, DAY + 3605, "view", "c"), (7, 1, DAY + 3606, "like", "d")],
                       columns=LOG.columns)
    spec = PrepareSpec.from_dict(changed("columns", to=columns))
    assert [(r["device"], r["like"]) for r in rows_of(log, spec)] == [("a", 1), ("c", 1)]


def test_types_may_be_numbers():
    config = changed("event_log", to={"type_column": "type", "impression": [1],
                                      "labels": {"like": [2], "talk": [3, 4]},
                                      "later_labels": {"again": [1]}})
    config["behaviors"] = {"any": [], "viewed": [1], "liked": [2]}
    codes = {"view": 1, "like": 2, "comment": 3, "share": 4}
    found = rows_of(LOG.assign(type=LOG["type"].map(codes)), PrepareSpec.from_dict(config))
    assert [(r["like"], r["talk"], r["again"]) for r in found] == [
        (1, 0, 1), (0, 1, 0), (0, 1, 0), (0, 0, 0)]


def test_only_whole_duplicates_are_merged():
    twice = pd.concat([LOG, LOG[3:8].assign(device="z")])
    merged = merge_duplicates(Tables(interactions=twice), SPEC).interactions
    assert len(merged) == len(LOG) and set(merged["device"]) == set(LOG["device"])


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_loop(seed):
    rng = np.random.default_rng(seed)
    types = pd.Series(rng.choice(["view", "like", "other"], 61))
    groups = np.unique(rng.integers(0, 7, 61), return_inverse=True)[1]
    times = np.sort(rng.integers(0, 40, 61))
    log = EventLog(type_column="t", impression=("view",), labels={"like": ("like", "other")},
                   later_labels={"again": ("view",)})
    shown, labels = impressions_and_labels(log, types, groups, times)
    expected = []
    for group in range(groups.max() + 1):
        views = [i for i in range(61) if groups[i] == group and types[i] == "view"]
        if views:
            first = views[0]
            expected.append((
                first,
                any(groups[i] == group and types[i] != "view" and times[i] >= times[first]
                    for i in range(61)),
                any(times[i] > times[first] for i in views)))
    assert sorted(zip(shown.tolist(), labels["like"], labels["again"])) == sorted(expected)


def test_an_empty_log():
    shown, labels = impressions_and_labels(
        EventLog(type_column="t", labels={"a": ("x",)}), pd.Series([], dtype=object),
        np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(shown) == len(labels["a"]) == 0


@pytest.mark.parametrize("path, to, message", [
    (("event_log", "type_column"), 3, "event_log: `type_column` should be text. Received: 3"),
    (("event_log", "kind"), 3, r"keys of event_log .* unknown: \['kind'\]"),
    (("event_log", "impression"), "view", "event_log: `impression` should be a list"),
    (("event_log", "impression"), [1.5], "a type of events in `impression` should be text"),
    (("event_log", "labels"), ["like"], "event_log: `labels` should be a mapping"),
    (("event_log", "labels", "like"), [], "number of types of `labels.like` should be a whole"),
    (("event_log", "labels", "like"), [None], "a type of events in `labels.like` should be text"),
    (("event_log", "labels", "again"), ["x"], r"every label of `event_log` .* once: \['again'\]"),
    (("event_log", "labels", ""), ["x"], "a key of `labels` should be text"),
    (("event_log", "labels", "device"), ["x"], r"should have names that no column has. Received: "
                                               r"\['device'\]"),
    (("tasks", 0, "label"), "love", "`label` of task 'like' in an event log should be one of "
                                    r"\['like', 'talk', 'again'\]. Received: 'love'"),
    (("tasks", 0, "mask"), "seen", "`mask` of task 'like' in an event log should be one of"),
    (("features", 1, "column"), "type", "Received: 'type', a label .*leaks the label"),
])
def test_mistakes_are_named(path, to, message):
    with pytest.raises(SchemaError, match=message):
        PrepareSpec.from_dict(changed(*path, to=to))


def test_an_event_without_item():
    log = LOG.astype({"item": float})
    log.loc[2, "item"] = None
    with pytest.raises(DataError, match="column 'item' of table `interactions` should have an id"):
        rows_of(log)
