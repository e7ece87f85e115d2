import dataclasses
import glob
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from dtrn_tf.data.preparation.prepare import prepare
from dtrn_tf.data.preparation.prepare_spec import load_prepare_spec
from dtrn_tf.data.synthetic import BEHAVIORS, LIKENESS, MEMORY, TASKS, SyntheticWorld, load_world
from dtrn_tf.errors import SchemaError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def spec():
    return load_prepare_spec(os.path.join(ROOT, "configs/synthetic/prepare.yaml"))


def whole(world):
    return world.source().read()


def read_records(directory):
    for path in sorted(glob.glob(f"{directory}/*/*.tfrecord")):
        for record in tf.data.TFRecordDataset(path):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            yield {name: list(value.int64_list.value) for name, value in features.items()}


def test_the_probability_can_be_recomputed_from_the_records(spec, tmp_path):
    """The stream goes through the history builder and the writer as real logs do."""
    world = load_world(spec, seed=7, num_users=53)
    prepare(spec, world.source(), str(tmp_path / "data"))
    items, segments, histories, users = [], [], [], []
    for record in read_records(tmp_path / "data"):
        items += record["item"]
        segments += record["segment"]
        users += record["user_id"]
        lists = [record[f"{behavior}_item"] for behavior in BEHAVIORS]
        histories.append([[-1] * (8 - len(ids)) + ids for ids in lists])
    found = world.probabilities(np.array(items), np.array(segments), np.array(histories))
    found = sorted(zip(users, items, *found.T.round(9)))
    log = whole(world).interactions
    truth = sorted(zip(log.user_id, log.item_id, *(log[f"p_{task}"].round(9) for task in TASKS)))
    assert len(found) == len(truth) > 1000
    np.testing.assert_allclose(found, truth, atol=2e-9)


def test_candidates_of_a_request_see_the_same_history(spec, tmp_path):
    """In both layouts: nothing of the user side changes within a request."""
    spec = dataclasses.replace(
        spec, synthetic={**spec.synthetic, "candidates_per_request": 5, "mean_impressions": 60})
    world = load_world(spec, seed=7, num_users=37)
    truth = whole(world).interactions
    assert set(truth.groupby(["user_id", "request_id"]).time.nunique()) == {1}
    found = {}
    for layout in ("request", "impression"):
        prepare(spec, world.source(), str(tmp_path / layout), layout=layout)
        rows = [(record["user_id"][0], item, record["segment"][0], *(
                    tuple(record[f"{behavior}_item"]) for behavior in BEHAVIORS))
                for record in read_records(tmp_path / layout) for item in record["item"]]
        found[layout] = sorted(rows)
    assert found["request"] == found["impression"] and len(truth) == len(found["request"])
    _, items, segments, *lists = zip(*found["request"])
    histories = np.array([[[-1] * (8 - len(ids)) + list(ids) for ids in row]
                          for row in zip(*lists)])
    probabilities = world.probabilities(np.array(items), np.array(segments), histories)
    np.testing.assert_allclose(
        sorted(map(tuple, probabilities)), sorted(map(tuple, truth[["p_click", "p_like", "p_buy"]]
                                                      .to_numpy())), atol=1e-9)


def test_probability_by_hand():
    world = SyntheticWorld(num_items=7, num_categories=3, history_length=2, seed=5)
    item, segment = np.array([4]), np.array([2])  # Items 1 and 4 are of category 1.
    empty = np.full((1, 3, 2), -1)
    logit = np.log(1 / (1 / world.probabilities(item, segment, empty) - 1))
    clicked_twice = empty.copy()
    clicked_twice[0, 0] = [2, 1]
    moved = np.log(1 / (1 / world.probabilities(item, segment, clicked_twice) - 1))
    v = world._vectors
    for k in range(3):
        likeness = (v[1] @ v[1] + MEMORY[k] * v[2] @ v[1]) / (1 + MEMORY[k])
        assert moved[0, k] - logit[0, k] == pytest.approx(2 * LIKENESS[k, 0] * likeness)


def test_best_auc_is_the_auc_of_the_truth(spec, tmp_path):
    world = load_world(spec, seed=3, num_users=701)
    summary = prepare(spec, world.source(), str(tmp_path / "data"))
    log = whole(world).interactions
    test = log[log.time >= pd.Timestamp("2024-01-13").timestamp()]
    assert summary["rows"]["test"] == len(test)
    for task, label in zip(TASKS, BEHAVIORS):
        assert 0.7 < summary["bayes_auc"][task] < 0.88
        sampled = roc_auc_score(test[label], test[f"p_{task}"])
        assert summary["bayes_auc"][task] == pytest.approx(sampled, abs=0.03)


def test_labels_follow_the_truth():
    log = whole(SyntheticWorld(num_users=997, seed=2)).interactions
    for task, label in zip(TASKS, BEHAVIORS):
        bins = np.floor(log[f"p_{task}"] * 5)
        rates = log.groupby(bins)[[label, f"p_{task}"]].agg(["mean", "count"])
        error = np.abs(rates[label, "mean"] - rates[f"p_{task}", "mean"])
        assert np.all(error < 2 / np.sqrt(rates[label, "count"]))


def test_tasks_conflict():
    """No two tasks agree about any history, and each shuns what another wants."""
    assert np.all(LIKENESS.min(axis=1) < 0) and np.all(LIKENESS.max(axis=1) > 0)
    assert len(set(MEMORY)) == len(TASKS)
    opposite = LIKENESS[0] * LIKENESS[1]
    assert np.all(opposite <= 0) and np.any(opposite < 0)


def test_equal_seeds_give_equal_worlds():
    world = SyntheticWorld(num_users=1500, seed=11, mean_impressions=3)
    parts = {table: [len(next(part())) for part in parts]
             for table, parts in world.source().parts().items()}
    assert parts["users"] == parts["prehistory"] == [512, 512, 476]
    assert len(parts["interactions"]) == 3 and parts["items"] == [500]
    for again in (world, pickle.loads(pickle.dumps(world))):
        pd.testing.assert_frame_equal(whole(again).interactions, whole(world).interactions)
        pd.testing.assert_frame_equal(whole(again).prehistory, whole(world).prehistory)
    other = whole(dataclasses.replace(world, seed=12)).interactions
    assert not whole(world).interactions.equals(other)


def test_times_grow_within_a_user():
    log = whole(SyntheticWorld(num_users=307, seed=1)).interactions
    times = log.sort_values(["user_id", "time"], kind="stable").groupby("user_id")["time"]
    assert times.diff().dropna().min() >= 1
    assert log["time"].max() < pd.Timestamp("2024-01-15").timestamp()


def test_items_keep_their_category():
    world = SyntheticWorld(num_items=23, num_categories=7)
    drawn = world._item_of_category(np.random.default_rng(1), np.arange(7).repeat(50))
    assert np.all(drawn % 7 == np.arange(7).repeat(50)) and set(drawn) == set(range(23))


def test_a_sequence_too_short_is_refused(spec):
    with pytest.raises(SchemaError, match="`max_length` of sequence 'clicked' should be at least"):
        load_world(dataclasses.replace(spec, synthetic={"history_length": 9}), seed=1)


def test_bad_arguments_are_refused(spec):
    with pytest.raises(SchemaError, match="synthetic should be among .* unknown: .'users'"):
        load_world(dataclasses.replace(spec, synthetic={"users": 9}), seed=1)
    with pytest.raises(SchemaError, match="`num_items` of the synthetic world should be a whole"):
        SyntheticWorld(num_items=0)
