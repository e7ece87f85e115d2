import json

import numpy as np
import pandas as pd
import pytest
from test_preparation import DAY, FIRST, records, spec_of, tables

from dtrn_tf.data.preparation.prepare import prepare
from dtrn_tf.data.preparation.requests import (
    first_by_id, first_by_window, records_of_requests,
)
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.data.shards import check_shards
from dtrn_tf.data.statistics import load_statistics
from dtrn_tf.data.vocabulary import read_vocabulary
from dtrn_tf.errors import DataError, SchemaError
from dtrn_tf.schema import REQUEST_INDEX, load_schema

COLUMNS = {"user": "user", "item": "item", "time": "time"}
BY_ID = spec_of(columns={**COLUMNS, "request": "request"})
BY_WINDOW = spec_of(request_window_seconds=100)
# User 3: two requests on day 0, one that lasts into valid, two that overlap in test.
LOG = pd.DataFrame(
    [(3, 1, 0, 1, "a"), (3, 2, 50, 1, "a"), (3, 3, 100, 0, "a"), (3, 4, 101, 1, "b"),
     (3, 5, 3 * DAY - 10, 0, "c"), (3, 1, 3 * DAY + 10, 1, "c"),
     (3, 2, 6 * DAY, 0, "d"), (3, 3, 6 * DAY + 1, 1, "e"), (3, 4, 6 * DAY + 2, 0, "d"),
     # Another user with the same ids at the same times.
     (4, 5, 0, 0, "a"), (4, 4, 101, 1, "a"), (4, 3, 3 * DAY + 10, 0, "c"), (4, 2, 6 * DAY, 1, "d")],
    columns=["user", "item", "time", "purchase", "request"])
LOG["time"] += FIRST


def _prepare(spec, target, log=LOG, **arguments):
    prepare(spec, [tables(interactions=log)], str(target), num_shards=1,
            **{"layout": "request", **arguments})
    return {split: sorted(records(target, split), key=lambda r: (r["user"], r["item"]))
            for split in ("train", "valid", "test")}


def _shown(split):
    return [(record["user"][0], record["item"], record["purchase"]) for record in split]


def test_requests_by_id(tmp_path):
    splits = _prepare(BY_ID, tmp_path / "data")
    assert _shown(splits["train"]) == [
        (3, [1, 2, 3], [1, 1, 0]), (3, [4], [1]), (3, [5], [0]), (4, [5, 4], [0, 1])]
    # Request c begins in train; what was shown in valid stays in valid.
    assert _shown(splits["valid"]) == [(3, [1], [1]), (4, [3], [0])]
    assert _shown(splits["test"]) == [(3, [2, 4], [0, 0]), (3, [3], [1]), (4, [2], [1])]


def test_requests_by_window(tmp_path):
    splits = _prepare(BY_WINDOW, tmp_path / "data")
    assert _shown(splits["train"]) == [
        (3, [1, 2, 3], [1, 1, 0]), (3, [4], [1]), (3, [5], [0]), (4, [4], [1]), (4, [5], [0])]
    assert _shown(splits["valid"]) == [(3, [1], [1]), (4, [3], [0])]
    assert _shown(splits["test"]) == [(3, [2, 3, 4], [0, 1, 0]), (4, [2], [1])]


def test_the_user_side_is_that_of_the_first_impression(tmp_path):
    splits = _prepare(BY_ID, tmp_path / "data")
    first, second, third, _ = splits["train"]
    # Items 1 and 2 were bought inside the first request.
    assert first["bought_item"] == []
    assert (second["bought_item"], third["bought_item"]) == ([1, 2], [1, 2, 4])
    # The part in valid too knows what was known when the request began, in train.
    assert splits["valid"][0]["bought_item"] == [1, 2, 4]
    assert splits["valid"][0]["hour"] == third["hour"] == [23]
    # Requests that overlap: d began before item 3 was bought in e.
    assert splits["test"][0]["bought_item"] == splits["test"][1]["bought_item"] == [2, 4, 1]
    # Statistics too: 0 of 0 exposures, 2 of 3.
    smoothed = [(0.1 * 5) / 5, (2 + 0.1 * 5) / (3 + 5)]
    assert [first["past_rate"][0], second["past_rate"][0]] == [
        int(32 * rate / (rate + 0.1)) for rate in smoothed]


def test_what_happens_inside_a_request_changes_no_input(tmp_path):
    before = _prepare(BY_WINDOW, tmp_path / "before")
    log = LOG.copy()
    inside = log.index[log.item.isin([2, 3]) & (log.user == 3) & (log.time < FIRST + DAY)]
    log.loc[inside, "purchase"] = 1 - log.loc[inside, "purchase"]
    after = _prepare(BY_WINDOW, tmp_path / "after", log)
    first, changed = before["train"][0], after["train"][0]
    assert first.pop("purchase") == [1, 1, 0] and changed.pop("purchase") == [1, 0, 1]
    assert first == changed
    assert before["train"][1]["bought_item"] != after["train"][1]["bought_item"]


def test_long_requests_become_several_records_with_one_user_side(tmp_path):
    splits = _prepare(BY_WINDOW, tmp_path / "data", max_candidates=2)
    assert _shown(splits["train"])[:2] == [(3, [1, 2], [1, 1]), (3, [3], [0])]
    first, second = splits["train"][:2]
    assert first["bought_item"] == second["bought_item"] == []
    assert first["past_rate"] == second["past_rate"]


def test_one_candidate_a_request_is_the_impression(tmp_path):
    """To the byte: a reader of requests reads impressions too."""
    spec = spec_of(request_window_seconds=0)
    contents = []
    for layout in ("request", "impression"):
        _prepare(spec, tmp_path / layout, layout=layout)
        contents.append({str(path.relative_to(tmp_path / layout)): path.read_bytes()
                         for path in (tmp_path / layout).rglob("*.*")})
    differ = {name for name in contents[0] if contents[0][name] != contents[1][name]}
    assert differ == {"schema.yaml", "summary.json"}


def test_all_impressions_of_a_split_are_there_in_both_layouts(tmp_path):
    rng = np.random.default_rng(7)
    log = pd.DataFrame({
        "user": rng.integers(0, 7, 500), "item": rng.integers(1, 6, 500),
        "time": FIRST + rng.integers(0, 7 * DAY, 500), "purchase": rng.integers(0, 2, 500)})
    log = log.drop_duplicates(["user", "item", "time"])
    spec = spec_of(request_window_seconds=3600)
    requests = _prepare(spec, tmp_path / "requests", log, max_candidates=3)
    impressions = _prepare(spec, tmp_path / "impressions", log, layout="impression")
    for split in requests:
        shown = [(r["user"][0], item, bought) for r in requests[split]
                 for item, bought in zip(r["item"], r["purchase"])]
        assert sorted(shown) == sorted((r["user"][0], r["item"][0], r["purchase"][0])
                                       for r in impressions[split])
        assert len(requests[split]) < len(impressions[split])
        assert max(len(r["item"]) for r in requests[split]) == 3


def test_counts_are_of_candidates_and_moments_of_what_records_hold(tmp_path):
    features = [{"name": "item", "table": "interactions", "column": "item", "level": "candidate"},
                {"name": "price", "table": "items", "column": "price", "kind": "numeric"},
                {"name": "nth", "table": "interactions", "column": "nth", "kind": "numeric"}]
    spec = spec_of(features=features, sequences=[], request_window_seconds=100)
    log = LOG.assign(nth=np.arange(len(LOG), dtype=float))
    _prepare(spec, tmp_path / "data", log)
    summary = json.loads((tmp_path / "data" / "summary.json").read_text())
    assert summary["rows"] == {"train": 7, "valid": 2, "test": 4}
    assert summary["requests"] == {"train": 5, "valid": 2, "test": 2}
    assert summary["mean_candidates"] == {"train": 7 / 5, "valid": 1.0, "test": 2.0}
    statistics = load_statistics(tmp_path / "data" / "statistics.json")
    assert statistics.base_rates["buy"] == summary["positive_rates"]["train"]["buy"] == 4 / 7
    # Of the candidates, and of the first impression of each request.
    prices = [{1: 0.0, 2: 1.0, 3: 3.0, 5: 7.0}[item] for item in (1, 2, 3, 5, 5)]  # 4 has none.
    assert statistics.numeric["price"] == pytest.approx((np.mean(prices), np.std(prices)))
    nth = [0, 3, 4, 9, 10]
    assert statistics.numeric["nth"] == pytest.approx((np.mean(nth), np.std(nth)))
    # Items 4 and 5 were shown twice in train, 1, 2 and 3 once.
    assert set(read_vocabulary(tmp_path / "data/vocabularies/item.txt", "int64")[:2]) == {4, 5}


def test_masked_labels_are_counted(tmp_path):
    spec = spec_of(tasks=[{"name": "buy", "label": "purchase", "mask": "seen"}],
                   request_window_seconds=100)
    _prepare(spec, tmp_path / "data", LOG.assign(seen=[1, 0] * 6 + [1]))
    summary = json.loads((tmp_path / "data" / "summary.json").read_text())
    # Users' rows 0, 2, 4 and 10 of train.
    assert summary["positive_rates"]["train"]["buy"] == 2 / 4


def test_the_reader_reads_requests(tmp_path):
    target = str(tmp_path / "data")
    _prepare(BY_ID, target, gzip=True)
    schema = load_schema(f"{target}/schema.yaml")
    assert schema.layout == "request"
    files = list_shards(target, "train")
    assert check_shards(files, schema).num_records == 4
    features, labels, _ = next(iter(read_records(
        files, schema, Preprocessing(schema, target), batch_size=9, group=True)))
    assert sorted(np.bincount(features[REQUEST_INDEX])) == [1, 1, 2, 3]
    assert features["hour"].shape == [4]
    assert features["item"].shape == features["user"].shape == labels["buy"].shape == [7]


def test_equal_seeds_give_equal_bytes(tmp_path):
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _prepare(BY_ID, tmp_path / name, seed=seed)
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*"))])
    assert contents[0] == contents[1] != contents[2]


def test_impressions_do_not_know_of_requests(tmp_path):
    for name, spec in (("with", BY_ID), ("without", spec_of())):
        _prepare(spec, tmp_path / name, layout="impression")
    with_ids, without = ([path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*"))]
                         for name in ("with", "without"))
    assert with_ids == without
    assert "layout" not in (tmp_path / "with" / "schema.yaml").read_text()


def test_a_spec_that_does_not_tell_requests(tmp_path):
    with pytest.raises(SchemaError, match="should say what a request is, .*`columns.request` "
                                          "names .*`request_window_seconds` .*Received: neither"):
        _prepare(spec_of(), tmp_path / "data")


def test_an_impression_without_request_id(tmp_path):
    log = LOG.assign(request=[None, *LOG.request[1:]])
    with pytest.raises(DataError, match="column 'request' of table `interactions` should have an "
                                        "id in every row. Received: 1 rows without"):
        _prepare(BY_ID, tmp_path / "data", log)


def test_more_shards_than_records_is_an_error(tmp_path):
    with pytest.raises(DataError, match="--num_shards should be at most the records of every "
                                        "split. Received: 3 for {'train': 5, 'valid': 2"):
        prepare(BY_WINDOW, [tables(interactions=LOG)], str(tmp_path / "data"), num_shards=3,
                layout="request")


def loop_by_window(users, times, window):
    """The reference: the oldest row of the request before that is near enough."""
    first = []
    for row in range(len(users)):
        begin = first[-1] if row else None
        near = begin is not None and users[begin] == users[row]
        first.append(begin if near and times[row] - times[begin] <= window else row)
    return first


@pytest.mark.parametrize("seed", range(7))
def test_requests_equal_the_loop(seed):
    rng = np.random.default_rng(seed)
    users = np.sort(rng.integers(0, 5, 97))
    times = np.concatenate([np.sort(rng.integers(0, 100, n)) for n in np.bincount(users)])
    window = int(rng.integers(0, 20))
    first = first_by_window(users, times, window)
    assert first.tolist() == loop_by_window(users, times, window)
    ids = rng.integers(0, 11, 97)
    by_id = first_by_id(users, ids)
    assert by_id.tolist() == [next(i for i in range(97) if (users[i], ids[i]) == (u, r))
                              for u, r in zip(users, ids)]
    rows = np.flatnonzero(rng.random(97) < 0.7)
    lists = records_of_requests(rows, by_id, 3).lists()
    assert sorted(sum(lists, [])) == rows.tolist()
    requests = [{by_id[row] for row in rows} for rows in lists]
    assert all(len(request) == 1 and 0 < len(rows) <= 3 and rows == sorted(rows)
               for request, rows in zip(requests, lists))
    sizes = np.bincount(by_id[rows])
    assert len(lists) == np.sum(-(-sizes // 3))


def test_no_impressions():
    nothing = np.zeros(0, np.int64)
    assert first_by_window(nothing, nothing, 5).tolist() == []
    assert first_by_id(nothing, nothing).tolist() == []
    assert records_of_requests(nothing, np.array([0, 1]), 5).lists() == []
