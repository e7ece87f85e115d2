import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml
from test_preparation import records

from dtrn_tf.data.preparation.negatives import count_item_days, merge_item_days, sample_items
from dtrn_tf.data.preparation.prepare import prepare
from dtrn_tf.data.preparation.prepare_spec import Negatives, PrepareSpec
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.source import source_of
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.errors import DataError, SchemaError

DAY = 86_400
CONFIG = yaml.safe_load("""
source: tables
columns: {user: user, item: item, time: time}
splits: {train_until: 1970-01-02, valid_until: 1970-01-03}
negatives: {per_positive: 2}
behaviors: {seen: [], bought: [buy]}
sequences:
  - {behavior: seen, max_length: 9, sides: [recency]}
past_statistics:
  - {name: past_rate, kind: rate, behavior: bought, prior: 0.5, strength: 2}
  - {name: past_gap, kind: gap}
features:
  - {name: item, table: interactions, column: item, level: candidate}
  - {name: device, table: interactions, column: device}
  - {name: brand, table: items, column: brand}
tasks:
  - {name: see, label: see}
  - {name: buy, label: buy, mask: known}
""")
SPEC = PrepareSpec.from_dict(CONFIG)
ITEMS = pd.DataFrame({"item": [1, 2, 3, 4, 5, 6], "brand": list("abcdef")})
LOG = pd.DataFrame([
    (7, 1, 10, "a", 1), (7, 2, 20, "b", 0),
    (7, 3, DAY + 5, "c", 1), (7, 4, DAY + 9, "d", 0), (7, 1, 2 * DAY, "e", 0),
    (8, 5, 30, "f", 0), (8, 6, DAY + 3, "g", 1), (8, 2, 2 * DAY + 4, "h", 0),
], columns=["user", "item", "time", "device", "buy"]).assign(see=1, known=0)


def rows_of(log=LOG, spec=SPEC, whole_log=LOG):
    tables = Tables(interactions=log, items=ITEMS, item_days=count_item_days(whole_log, spec))
    return list(build_rows(tables, spec).records())


def changed(*path, to):
    config = copy.deepcopy(CONFIG)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return config


def spec_of(**negatives):
    return PrepareSpec.from_dict(changed("negatives", to=negatives))


def test_what_can_be_drawn():
    """Two of two possible items are drawn, so chance decides nothing but their order."""
    drawn = {}
    for row in rows_of():
        if row["see"] == 0:
            drawn.setdefault((row["user"], row["device"]), []).append(row["item"])
    assert {key: sorted(items) for key, items in drawn.items()} == {
        # Nothing is known before day 0. On day 1: 1, 2, 5 are known; user 7 had 1 and 2.
        (7, "c"): [5], (7, "d"): [5],
        # On day 2, 1 to 6 are known and user 7 had 1 to 4.
        (7, "e"): [5, 6],
        (8, "g"): [1, 2],
        # User 8 had 5 and 6, and has 2 that very day: two of 1, 3, 4.
        (8, "h"): sorted(drawn[8, "h"])}
    assert set(drawn[8, "h"]) < {1, 3, 4} and len(set(drawn[8, "h"])) == 2


def test_drawn_items_are_rows_of_the_same_moment():
    rows = rows_of()
    positives = {r["device"]: r for r in rows if r["see"] == 1}
    assert [r["device"] for r in rows if r["see"] == 1] == list("abcdefgh")
    for before, row in zip(rows, rows[1:]):
        if row["see"] == 0:
            positive = positives[row["device"]]
            assert before["device"] == row["device"]
            assert (row["buy"], row["known"], row["brand"]) == (0, 1, " abcdef"[row["item"]])
            same = ("user", "device", "seen_item", "seen_recency", "past_rate", "past_gap")
            assert all(row[name] == positive[name] for name in same)
    # Drawn items are in no history, and count in no statistic.
    assert positives["e"]["seen_item"] == [1, 2, 3, 4]
    assert positives["e"]["past_rate"] == int(32 * 0.5 / (0.5 + 0.5))  # (2 + 1) / (4 + 2)
    assert positives["e"]["past_gap"] == int(np.log2(1 + DAY - 9))


@pytest.mark.parametrize("strategy", ["uniform", "popularity"])
def test_draws_do_not_depend_on_how_users_are_partitioned(strategy):
    log = random_log()
    spec = spec_of(per_positive=3, strategy=strategy, exponent=0.75, seed=5)
    together = rows_of(log, spec, log)
    alone = [row for user in np.unique(log.user)
             for row in rows_of(log[log.user == user].sample(frac=1.0, random_state=1), spec, log)]
    assert str(together) == str(alone)
    assert sum(r["see"] == 0 for r in together) > 2 * len(log)


def test_seeds():
    def items(seed):
        log = random_log()
        spec = spec_of(per_positive=3, seed=seed)
        return [row["item"] for row in rows_of(log, spec, log) if row["see"] == 0]

    assert items(1) == items(1) != items(2)


def test_the_future_changes_no_draw():
    log = random_log()
    later = log.assign(item=np.where(log.time >= 3 * DAY, 6, log.item))
    spec = spec_of(per_positive=3, strategy="popularity")

    def before(log):
        by_user = {}
        for row in rows_of(log, spec, log):
            if int(row["device"]) < 3:
                by_user.setdefault(row["user"], []).append((row["item"], row["see"]))
        return by_user

    assert before(log) == before(later)


def random_log(num_rows=120):
    rng = np.random.default_rng(3)
    time = rng.integers(0, 5 * DAY, num_rows)
    return pd.DataFrame({
        "user": rng.integers(0, 40, num_rows), "item": rng.integers(1, 200, num_rows), "time": time,
        "device": (time // DAY).astype(str), "buy": 0, "see": 1, "known": 1})


def _draw(days_of_items, negatives, num_rows=4000):
    """Items drawn on day 9 for a user who was seen with item 0 only."""
    item_days = merge_item_days([pd.DataFrame(days_of_items, columns=["day", "item", "count"])])
    row = np.zeros(num_rows, np.int64)
    against, items = sample_items(row, row, row + 9, row == 0, item_days, negatives)
    assert len(np.unique(against)) == num_rows
    return np.bincount(items, minlength=6) / len(items)


def test_frequencies():
    counts = [(1, 0, 50), (1, 1, 1), (3, 1, 3), (2, 2, 9), (8, 3, 16), (9, 4, 90), (10, 5, 90)]
    shares = _draw(counts, Negatives(per_positive=1))
    assert shares == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0, 0], abs=0.03)
    popular = Negatives(per_positive=1, strategy="popularity")
    assert _draw(counts, popular) == pytest.approx(
        [0, 4 / 29, 9 / 29, 16 / 29, 0, 0], abs=0.03)
    rooted = dataclasses.replace(popular, exponent=0.5)
    assert _draw(counts, rooted) == pytest.approx([0, 2 / 9, 3 / 9, 4 / 9, 0, 0], abs=0.03)


def test_item_days_add_up():
    counted = count_item_days(LOG, SPEC)
    assert counted.to_dict("list") == {
        "day": [0, 0, 0, 1, 1, 1, 2, 2], "item": [1, 2, 5, 3, 4, 6, 1, 2], "count": [1] * 8}
    parts = [count_item_days(part, SPEC) for part in (LOG[:3], LOG[3:], LOG[2:4])]
    assert merge_item_days(parts[:2]).equals(counted)
    # LOG[2:4] are items 3 and 4 on day 1.
    assert merge_item_days(parts)["count"].tolist() == [1, 1, 1, 2, 2, 1, 1, 1]


def test_days_are_local():
    spec = PrepareSpec.from_dict(changed("columns", to={**CONFIG["columns"],
                                                        "utc_offset_hours": -1}))
    assert count_item_days(LOG, spec)["day"].tolist() == [-1] * 3 + [0] * 3 + [1] * 2


def test_text_ids():
    log = LOG.assign(item="i" + LOG["item"].astype(str), user="u" + LOG["user"].astype(str))
    items = ITEMS.assign(item="i" + ITEMS["item"].astype(str))
    tables = Tables(interactions=log, items=items, item_days=count_item_days(log, SPEC))
    rows = list(build_rows(tables, SPEC).records())
    assert sorted(r["item"] for r in rows if r["device"] == "g") == ["i1", "i2", "i6"]


def test_requests_hold_the_drawn_items():
    config = changed("request_window_seconds", to=100)
    rows = build_rows(Tables(interactions=LOG, items=ITEMS, item_days=count_item_days(LOG, SPEC)),
                      PrepareSpec.from_dict(config), layout="request")
    first = rows.first_impressions
    assert np.all(rows.columns["see"][first] == 1)
    # a with b, c with d, e, f, g, h; each with its drawn items.
    assert np.unique(first, return_counts=True)[1].tolist() == [2, 4, 3, 1, 3, 3]


def test_the_log_must_be_counted():
    with pytest.raises(DataError, match="`item_days` of the tables should be counted in the whole "
                                        "log, to sample negatives. Received: none. Count them"):
        build_rows(Tables(interactions=LOG, items=ITEMS), SPEC)


def test_ids_of_another_type():
    other = count_item_days(LOG.assign(item="x"), SPEC)
    with pytest.raises(DataError, match="`item_days` should hold ids of the same type"):
        build_rows(Tables(interactions=LOG, items=ITEMS, item_days=other), SPEC)


@pytest.mark.parametrize("path, to, message", [
    (("negatives",), {}, r"negatives should have the keys \['per_positive'\]"),
    (("negatives", "per_positive"), 0, "negatives: `per_positive` should be a whole number >= 1"),
    (("negatives", "strategy"), "hard", "negatives: `strategy` should be one of "),
    (("negatives", "exponent"), -1, "negatives: `exponent` should be a number >= 0"),
    (("negatives", "seed"), -1, "negatives: `seed` should be a whole number >= 0"),
    (("tasks", 0), {"name": "see", "label": "see", "one_of": [0, 1]},
     "task 'see' should be binary with 0 as a negative label, .* Received: another label rule"),
    (("tasks", 0), {"name": "see", "label": "see", "at_least": 0}, "task 'see' should be binary"),
    (("tasks", 0), {"name": "see", "label": "see", "kind": "regression", "dtype": "float32"},
     "task 'see' should be binary"),
    (("features", 1, "level"), "candidate", "feature 'device' of the item should be in the table "
     "`items`, as drawn items have no row in the log. Received: interactions"),
])
def test_mistakes_are_named(path, to, message):
    with pytest.raises(SchemaError, match=message):
        PrepareSpec.from_dict(changed(*path, to=to))


@pytest.mark.parametrize("num_shards", [1, 3])
def test_prepare_counts_the_whole_log(tmp_path, num_shards):
    log = random_log()
    spec = PrepareSpec.from_dict(changed("negatives", to={"per_positive": 3, "seed": 5}))
    items = pd.DataFrame({"item": np.arange(200), "brand": "b"})
    prepare(spec, source_of(Tables(interactions=log, items=items)), str(tmp_path / "data"),
            num_shards=num_shards)
    found = sorted((r["user"][0], r["device"][0].decode(), r["item"][0], r["see"][0])
                   for r in records(tmp_path / "data"))
    expected = sorted((r["user"], r["device"], r["item"], r["see"])
                      for r in rows_of(log, spec, log))
    assert found == expected
