"""Deskdrop and Taobao in their official layouts and as Parquet."""

import os
import pathlib

import numpy as np
import pandas as pd
import pytest

from dtrn_tf.data.preparation.deskdrop import load_deskdrop
from dtrn_tf.data.preparation.prepare_spec import load_prepare_spec
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.splits import split_rows
from dtrn_tf.data.preparation.tables import merge_duplicates
from dtrn_tf.data.preparation.taobao import load_taobao
from dtrn_tf.errors import DataError

ROOT = pathlib.Path(__file__).parents[3]
AGENT = "Mozilla/5.0 (Macintosh)"
# 2016-09-16 23:59:59 UTC, the last second of train.
END = 1_474_070_399
DESKDROP = pd.DataFrame([
    (END - 90_000, "VIEW", 11, -7, 1, AGENT, "SP", "BR"),
    (END - 89_000, "LIKE", 11, -7, 1, AGENT, "SP", "BR"),
    (END - 50, "VIEW", 13, -7, 2, "Android - Native Mobile App", None, None),
    (END - 50, "VIEW", 13, -7, 2, "Android - Native Mobile App", None, None),
    (END, "COMMENT CREATED", 13, -7, 2, AGENT, "SP", "BR"),
    (END + 1, "VIEW", 11, -7, 3, None, None, None),
    (END + 5, "FOLLOW", 11, -7, 3, AGENT, "SP", "BR"),
    (END + 9, "VIEW", 11, -7, 3, AGENT, "SP", "BR"),
], columns=["timestamp", "eventType", "contentId", "personId", "sessionId", "userAgent",
            "userRegion", "userCountry"])
# 2017-11-25 00:00:00 at UTC+8.
BEGIN = 1_511_539_200
TAOBAO = [
    (5, 21, 900, "pv", BEGIN - 1), (5, 21, 901, "pv", BEGIN), (5, 21, 901, "buy", BEGIN + 60),
    (5, 22, 902, "cart", BEGIN + 86_400), (5, 21, 903, "fav", BEGIN + 2 * 86_400),
    (6, 23, 904, "pv", -1), (6, 22, 902, "pv", BEGIN + 9 * 86_400 - 1),
    (6, 22, 902, "pv", BEGIN + 9 * 86_400)]


def spec_of(name):
    return load_prepare_spec(ROOT / "configs" / name / "prepare.yaml")


def records_of(load, name, directory):
    spec = spec_of(name)
    rows = build_rows(merge_duplicates(load(spec, str(directory)).read(), spec), spec)
    return list(rows.records()), rows


def test_deskdrop(tmp_path):
    DESKDROP.to_csv(tmp_path / "users_interactions.csv", index=False)
    (first, second, third), rows = records_of(load_deskdrop, "deskdrop", tmp_path)
    tasks = ("revisit", "like", "bookmark", "follow", "comment")
    assert [[row[task] for task in tasks] for row in (first, second, third)] == [
        [0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 1, 0]]
    assert [row["device"] for row in (first, second, third)] == ["desktop", "android", "unknown"]
    assert [row["country"] for row in (first, second, third)] == ["BR", "", ""]
    assert (third["viewed_item"], third["liked_item"], third["deep_item"]) == ([11, 13], [11], [13])
    assert third["hour"] == 0 and rows.times_ms[2] == (END + 1) * 1000
    assert {split: index.tolist() for split, index in
            split_rows(rows, spec_of("deskdrop")).items()} == {
                "train": [0, 1], "valid": [2], "test": []}


def test_deskdrop_as_parquet(tmp_path):
    (tmp_path / "official").mkdir()
    DESKDROP.to_csv(tmp_path / "official" / "users_interactions.csv", index=False)
    types = {"COMMENT CREATED": "comment"}
    table = DESKDROP.drop(columns="userAgent").assign(
        timestamp=DESKDROP.timestamp * 1000,
        eventType=DESKDROP.eventType.replace(types).str.lower(),
        device=["desktop", "desktop", "android", "android", "desktop", "unknown", "desktop",
                "desktop"])
    table.columns = ["timestamp", "behavior", "item_id", "user_id", "session_id", "region",
                     "country", "device"]
    table.to_parquet(tmp_path / "interactions.parquet")
    official, _ = records_of(load_deskdrop, "deskdrop", tmp_path / "official")
    assert records_of(load_deskdrop, "deskdrop", tmp_path)[0] == official


def write_taobao(directory):
    os.makedirs(directory, exist_ok=True)
    pd.DataFrame(TAOBAO).to_csv(directory / "UserBehavior.csv", index=False, header=False)
    return directory


def test_taobao(tmp_path):
    found, rows = records_of(load_taobao, "taobao", write_taobao(tmp_path))
    tasks = ("pv", "cart", "fav", "buy")
    assert [(r["user_id"], r["item"], r["category"], *(r[t] for t in tasks)) for r in found] == [
        (5, 21, 901, 1, 0, 0, 1), (5, 22, 902, 0, 1, 0, 0), (5, 21, 901, 0, 0, 1, 0),
        (6, 22, 902, 1, 0, 0, 0)]
    # What makes a row's labels is not in its history.
    assert [r["viewed_item"] for r in found] == [[], [21], [21], []]
    assert [r["bought_item"] for r in found] == [[], [21], [21], []]
    assert found[2]["carted_category"] == [902] and found[2]["past_touches"] == 2 * np.log2(1 + 3)
    assert (found[0]["hour"], found[3]["hour"]) == (0, 23)
    splits = split_rows(rows, spec_of("taobao"))
    assert {split: index.tolist() for split, index in splits.items()} == {
        "train": [0, 1, 2], "valid": [], "test": [3]}


def test_taobao_as_parquet(tmp_path):
    official, _ = records_of(load_taobao, "taobao", write_taobao(tmp_path / "official"))
    log = pd.DataFrame(TAOBAO, columns=["user_id", "item_id", "category_id", "behavior",
                                        "timestamp"])[1:-1].query("timestamp > 0")
    log.assign(timestamp=log.timestamp * 1000).to_parquet(tmp_path / "interactions.parquet")
    log.drop_duplicates("item_id")[["item_id", "category_id"]].to_parquet(
        tmp_path / "items.parquet")
    assert records_of(load_taobao, "taobao", tmp_path)[0] == official


def test_a_log_with_another_number_of_columns(tmp_path):
    (tmp_path / "UserBehavior.csv").write_text("5,21,pv,1511539200\n")
    with pytest.raises(DataError, match="UserBehavior.csv: should be a whole Parquet or CSV file"):
        load_taobao(spec_of("taobao"), str(tmp_path)).read()


@pytest.mark.parametrize("load, name, message", [
    (load_deskdrop, "deskdrop", "should hold Deskdrop as interactions.parquet, or as the official "
                                "users_interactions.csv. Received: neither file. Get it from"),
    (load_taobao, "taobao", "should hold Taobao UserBehavior as the official UserBehavior.csv, or "
                            "as .* Received: neither. Get UserBehavior.csv.zip from")])
def test_neither_layout(tmp_path, load, name, message):
    with pytest.raises(DataError, match=message):
        load(spec_of(name), str(tmp_path))
