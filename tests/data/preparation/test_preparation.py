import copy
import dataclasses
import datetime
import glob
import json
import os

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from test_prepare_spec import CONFIG

from dtrn_tf.data.preparation.prepare import prepare
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.data.shards import check_shards
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.preparation.record_writer import new_directory
from dtrn_tf.data.statistics import load_statistics
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.data.vocabulary import read_vocabulary
from dtrn_tf.errors import DataError, SchemaError
from dtrn_tf.schema import load_schema

DAY = 86_400
FIRST = 1_704_067_200  # 2024-01-01 UTC


def spec_of(**changes):
    config = copy.deepcopy(CONFIG)
    config["features"] += [
        {"name": "price", "table": "items", "column": "price", "kind": "numeric",
         "transform": "log1p"},
        {"name": "hour", "table": "interactions", "column": "time", "kind": "hour"}]
    return PrepareSpec.from_dict(config | changes)


SPEC = spec_of()


def interactions(num_users=7, num_days=7, seed=3):
    rng = np.random.default_rng(seed)
    rows = num_users * num_days
    return pd.DataFrame({
        "user": np.repeat(np.arange(num_users), num_days), "item": rng.integers(1, 6, size=rows),
        "time": FIRST + np.tile(np.arange(num_days), num_users) * DAY + rng.integers(DAY),
        "purchase": rng.integers(2, size=rows)})


def tables(**changes):
    items = pd.DataFrame({"item": [1, 2, 3, 4, 5], "brand": ["a", "b", None, "a", "č"],
                          "price": [0.0, 1.0, 3.0, None, 7.0]})
    return Tables(**{"interactions": interactions(), "items": items} | changes)


def records(directory, split="*"):
    for path in sorted(glob.glob(f"{directory}/{split}/*.tfrecord*")):
        compression = "GZIP" if path.endswith(".gz") else ""
        for record in tf.data.TFRecordDataset(path, compression):
            yield {name: list(getattr(value, value.WhichOneof("kind")).value) for name, value in
                   tf.train.Example.FromString(record.numpy()).features.feature.items()}


def test_files_and_counts(tmp_path):
    target = tmp_path / "data"
    summary = prepare(SPEC, [tables()], str(target), num_shards=2)
    assert sorted(os.listdir(target)) == ["schema.yaml", "statistics.json", "summary.json", "test",
                                          "train", "valid", "vocabularies"]
    assert sorted(os.listdir(target / "train")) == [
        f"part-0000{i}-of-00002.tfrecord" for i in range(2)]
    assert summary["rows"] == {"train": 21, "valid": 14, "test": 14}
    log = interactions()
    train = log[log.time < FIRST + 3 * DAY]
    rate = pytest.approx(train.purchase.mean())
    assert summary["positive_rates"]["train"]["buy"] == rate
    assert json.loads((target / "summary.json").read_text()) == summary
    assert load_statistics(target / "statistics.json").base_rates["buy"] == rate
    assert os.listdir(tmp_path) == ["data"]


def test_every_impression_is_written_once_in_its_split(tmp_path):
    prepare(SPEC, [tables()], str(tmp_path / "data"))
    log = interactions()
    day = (log.time - FIRST) // DAY
    for split, expected in (("train", day <= 2), ("valid", (day > 2) & (day <= 4)),
                            ("test", day > 4)):
        found = sorted((r["user"][0], r["item"][0], r["hour"][0], r["purchase"][0])
                       for r in records(tmp_path / "data", split))
        rows = log[expected]
        assert found == sorted(zip(rows.user, rows.item, rows.time // 3600 % 24, rows.purchase))


def test_vocabularies_and_moments_know_only_train(tmp_path):
    log = interactions()
    log.loc[log.time >= FIRST + 3 * DAY, "item"] = 5  # Brand "č", the most expensive.
    log.loc[log.time < FIRST + 3 * DAY, "item"] = np.resize([1, 2, 2, 3, 4], 21)
    prepare(SPEC, [tables(interactions=log)], str(tmp_path / "data"))
    assert set(read_vocabulary(tmp_path / "data/vocabularies/item.txt", "int64")) == {1, 2, 3, 4}
    assert set(read_vocabulary(tmp_path / "data/vocabularies/brand.txt", "string")) == {"a", "b"}
    prices = np.log1p([{1: 0.0, 2: 1.0, 3: 3.0}[i] for i in np.resize([1, 2, 2, 3, 4], 21)
                       if i != 4])
    moments = load_statistics(tmp_path / "data/statistics.json").numeric["price"]
    assert moments == pytest.approx((prices.mean(), prices.std()))
    schema = load_schema(tmp_path / "data/schema.yaml")
    assert [(v.name, v.size) for v in schema.vocabularies] == [
        ("item", 4), ("brand", 2), ("hour", 24), ("past_rate", 32), ("recency", 33)]


def test_ids_are_sorted_by_frequency_and_rare_ones_left_out(tmp_path):
    log = interactions()
    log["item"] = np.resize([4, 4, 4, 2, 2, 1, 3], len(log))
    features = [{"name": "item", "table": "interactions", "column": "item", "min_count": 5}]
    spec = spec_of(features=features, sequences=[])
    prepare(spec, [tables(interactions=log)], str(tmp_path / "data"))
    train = log[log.time < FIRST + 3 * DAY].item.value_counts()
    expected = [item for item in (4, 2, 1, 3) if train.get(item, 0) >= 5]
    assert read_vocabulary(tmp_path / "data/vocabularies/item.txt", "int64") == expected
    assert 0 < len(expected) < 4


def test_the_reader_reads_what_prepare_writes(tmp_path):
    target = str(tmp_path / "data")
    prepare(SPEC, [tables()], target, gzip=True)
    schema = load_schema(f"{target}/schema.yaml")
    dataset = read_records(list_shards(target, "train"), schema, Preprocessing(schema, target),
                           batch_size=50, group=True)
    inputs, labels, _ = next(iter(dataset))
    assert labels["buy"].shape == (21,)
    assert set(inputs) == {"item", "brand", "price", "hour", "past_rate", "bought_item",
                           "bought_brand", "bought_recency", "user"}
    assert np.all(np.isfinite(inputs["price"])) and np.min(inputs["item"]) >= 2


def test_sequences_hold_only_the_strict_past(tmp_path):
    prepare(SPEC, [tables()], str(tmp_path / "data"))
    log = interactions()
    for record in records(tmp_path / "data"):
        own = log[log.user == record["user"][0]]
        candidates = [own[(own.time < time) & (own.purchase > 0)].item.tolist()[-3:]
                      for time in own.time]
        assert record["bought_item"] in candidates
        assert len(record["bought_brand"]) == len(record["bought_item"])


def test_equal_seeds_give_equal_bytes(tmp_path):
    def contents(name, seed):
        target = tmp_path / name
        prepare(SPEC, [tables()], str(target), seed=seed, gzip=True)
        files = [path for path in target.rglob("*") if path.is_file()]
        return {str(path.relative_to(target)): path.read_bytes() for path in files}

    first = contents("a", 1)
    assert contents("b", 1) == first
    assert contents("c", 2) != first


def test_rows_before_and_after_the_splits_are_history_only(tmp_path):
    spec = spec_of(splits={
        "train_from": datetime.date(2024, 1, 2), "train_until": datetime.date(2024, 1, 3),
        "valid_until": datetime.date(2024, 1, 5), "test_until": datetime.date(2024, 1, 6)})
    log = interactions().assign(purchase=1)
    summary = prepare(spec, [tables(interactions=log)], str(tmp_path / "data"))
    assert summary["rows"] == {"train": 14, "valid": 14, "test": 7}
    lengths = {len(r["bought_item"]) for r in records(tmp_path / "data", "train")}
    assert lengths == {1, 2}


def test_label_rules_and_masks_are_counted(tmp_path):
    log = interactions().assign(code=np.resize([0, 1, 4, 5], 49), seen=np.resize([1, 0], 49))
    spec = spec_of(tasks=[{"name": "order", "label": "code", "one_of": [4, 5]},
                          {"name": "touch", "label": "code", "at_least": 1, "mask": "seen"},
                          {"name": "see", "label": "seen"}])
    summary = prepare(spec, [tables(interactions=log)], str(tmp_path / "data"))
    train = log[log.time < FIRST + 3 * DAY]
    rates = summary["positive_rates"]["train"]
    assert rates["order"] == pytest.approx((train.code >= 4).mean())
    assert rates["touch"] == pytest.approx((train.code[train.seen == 1] >= 1).mean())


def test_an_empty_split_is_an_error(tmp_path):
    spec = spec_of(splits={"train_until": datetime.date(2024, 1, 3),
                           "valid_until": datetime.date(2024, 3, 1)})
    with pytest.raises(DataError, match="every split should have rows. Received: .*'test': 0"):
        prepare(spec, [tables()], str(tmp_path / "data"))
    assert os.listdir(tmp_path) == []


def test_no_interactions_is_an_error(tmp_path):
    with pytest.raises(DataError, match="the log should hold interactions. Received: none"):
        prepare(SPEC, [], str(tmp_path / "data"))


def test_more_shards_than_rows_is_an_error(tmp_path):
    with pytest.raises(DataError, match="--num_shards should be at most the records of every "
                                        "split. Received: 50 for {'train': 21, 'valid': 14, "):
        prepare(SPEC, [tables()], str(tmp_path / "data"), num_shards=50)
    assert not os.listdir(tmp_path)


def test_an_empty_vocabulary_is_an_error(tmp_path):
    spec = spec_of(features=[{"name": "item", "table": "interactions", "column": "item",
                              "min_count": 10**6}], sequences=[])
    with pytest.raises(DataError, match="vocabulary 'item' should hold an id that stands at least"):
        prepare(spec, [tables()], str(tmp_path / "data"))


def test_a_table_that_features_need_is_an_error(tmp_path):
    with pytest.raises(DataError, match="feature 'brand' needs the table `items`. Received: none"):
        prepare(SPEC, [tables(items=None)], str(tmp_path / "data"))


def test_features_that_disagree_about_a_vocabulary(tmp_path):
    features = [*CONFIG["features"],
                {"name": "other", "table": "items", "column": "brand", "vocabulary": "item"}]
    with pytest.raises(SchemaError, match="features that share vocabulary 'item' should agree"):
        prepare(spec_of(features=features), [tables()], str(tmp_path / "data"))


def test_prehistory_must_hold_lists(tmp_path):
    before = pd.DataFrame({"user": [1], "bought_before": ["1 2"]})
    with pytest.raises(DataError, match="'bought_before' of table `prehistory` should hold lists"):
        prepare(SPEC, [tables(prehistory=before)], str(tmp_path / "data"))
    before = pd.DataFrame({"user": [1], "bought_before": [[5, 4]]})
    prepare(SPEC, [tables(prehistory=before)], str(tmp_path / "data"))
    first = [r["bought_item"] for r in records(tmp_path / "data", "train") if r["user"] == [1]]
    assert [5, 4] in first


def test_an_existing_target_is_kept(tmp_path):
    target = str(tmp_path / "data")
    prepare(SPEC, [tables()], target)
    with pytest.raises(DataError, match="data: should not exist yet. .* give --overwrite"):
        prepare(SPEC, [tables()], target)
    summary = prepare(SPEC, [tables(interactions=interactions(11))], target, overwrite=True)
    assert summary["rows"]["train"] == 33 and os.listdir(tmp_path) == ["data"]
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="--overwrite should replace a directory with schema.yaml"):
        prepare(SPEC, [tables()], str(tmp_path / "photos"), overwrite=True)


def test_a_failure_leaves_the_old_directory(tmp_path):
    target = tmp_path / "data"
    prepare(SPEC, [tables()], str(target))
    before = (target / "summary.json").read_bytes()

    def broken():
        yield tables()
        raise DataError("the disk is gone")

    with pytest.raises(DataError, match="the disk is gone"):
        prepare(SPEC, broken(), str(target), overwrite=True)
    assert os.listdir(tmp_path) == ["data"]
    assert (target / "summary.json").read_bytes() == before


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="should be a directory that can be made. Received: Not a"):
        with new_directory(str(tmp_path / "file/data"), overwrite=False, marker="schema.yaml"):
            pass


def test_shards_take_turns(tmp_path):
    prepare(SPEC, [tables()], str(tmp_path / "data"), num_shards=4)
    sizes = [check_shards([path], load_schema(tmp_path / "data" / "schema.yaml")).num_records
             for path in list_shards(tmp_path / "data", "train")]
    assert sizes == [6, 5, 5, 5]


def test_progress_counts_users(tmp_path):
    log, seen = interactions(), []
    halves = [tables(interactions=log[log.user < 3]), tables(interactions=log[log.user >= 3])]
    prepare(SPEC, halves, str(tmp_path / "data"), progress=seen.append)
    assert seen == [3, 4]


def test_string_users_and_items(tmp_path):
    log = interactions()
    log["user"] = "u" + log["user"].astype(str)
    log["item"] = log["item"].map(dict(zip(range(1, 6), "vwxyz")))
    items = pd.DataFrame({"item": list("vwxyz"), "brand": list("aabbc"), "price": 1.0})
    prepare(SPEC, [tables(interactions=log, items=items)], str(tmp_path / "data"))
    schema = load_schema(tmp_path / "data/schema.yaml")
    assert schema.group.dtype == schema.vocabulary("item").dtype == "string"
    assert {r["user"][0] for r in records(tmp_path / "data")} == {f"u{i}".encode()
                                                                  for i in range(7)}


def test_best_auc_only_where_the_truth_is_known(tmp_path):
    assert "bayes_auc" not in prepare(SPEC, [tables()], str(tmp_path / "a"))
    spec = dataclasses.replace(SPEC, true_probabilities={"buy": "p"})
    log = interactions().assign(p=0.5)
    summary = prepare(spec, [tables(interactions=log)], str(tmp_path / "b"))
    assert summary["bayes_auc"] == {"buy": 0.5}
