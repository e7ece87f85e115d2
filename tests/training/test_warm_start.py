"""Models that start from others: equal predictions, whatever the order of what both know."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from helpers import ITEMS, small_row, small_schema, write_small_data

from dtrn_tf import layers
from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import parse_examples
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.errors import UserError
from dtrn_tf.models import DTRN
from dtrn_tf.models.weight_names import weight_names
from dtrn_tf.schema import NumericFeature, Task, Vocabulary
from dtrn_tf.training.warm_start import WarmStart

UNITS = (5, 3)
SAME_TASKS = {"order", "click", "rating", "long_view"}
NETWORKS = {
    "shared_bottom": lambda k: layers.SharedBottom(UNITS),
    "separate": lambda k: layers.ParallelMLP(k, UNITS),
    "mmoe": lambda k: layers.MMoE(k, 3, UNITS),
    "cgc": lambda k: layers.PLE(k, 2, 3, UNITS),
    "pepnet": lambda k: layers.PEPNet(k, UNITS, gate_units=2),
    "home": lambda k: layers.HoME(GROUPS[k], 2, UNITS, gate_units=3),
    "aitm": lambda k: layers.AITM(k, UNITS),
    "cross_stitch": lambda k: layers.CrossStitch(k, UNITS),
    "ple": lambda k: layers.PLE(k, 2, 3, UNITS, num_levels=2),
    "stem": lambda k: layers.STEM(k, 2, 3, UNITS, slice_width=2),
}
# Of click, order, long_view, rating; and of like, rating, order, click, long_view.
GROUPS = {4: [0, 1, 0, 1], 5: [1, 1, 1, 0, 0]}
# In these the outputs of a task depend on how many tasks there are.
FIXED_TASKS = ("cross_stitch", "ple", "stem")


def _changed_schema(network):
    """Another order of everything, two new items, one that is gone, and a new task if it may."""
    schema = small_schema()
    tasks = dict(zip(schema.task_names, schema.tasks))
    names = ["rating", "order", "click", "long_view"]
    new = [Task(name="like", label="is_click")]
    if network == "aitm":  # a chain; a new task comes last
        tasks, new = [*schema.tasks, *new], []
    else:
        tasks = [tasks[name] for name in names]
    items = Vocabulary(name="item", size=6, file="vocabularies/item.txt")
    return dataclasses.replace(
        schema, vocabularies=(*schema.vocabularies[:0:-1], items),
        features=tuple(reversed(schema.features)), behaviors=tuple(reversed(schema.behaviors)),
        tasks=tuple([*(new if network not in FIXED_TASKS else []), *tasks]))


@pytest.fixture(scope="module")
def changed_data(tmp_path_factory):
    path = tmp_path_factory.mktemp("changed")
    write_small_data(path, splits=())
    write_vocabulary(path / "vocabularies" / "item.txt", [113, 7, 101, 107, 8, 103])
    return str(path)


def _model(schema, network="mmoe", seed=0, **changes):
    tf.keras.utils.set_random_seed(seed)
    tasks = len(schema.tasks)
    stages = {"refinement": layers.TaskRefinement(tasks, (3,), granularity="element")}
    width = 4
    if network == "mmoe":
        stages = {"interest": layers.TaskInterest(tasks, pooling="target"),
                  "refinement": layers.TaskRefinement(tasks, (3,))}
    elif network == "stem":
        stages, width = {}, 2 * (tasks + 1)
    arguments = {"embedding_width": width, "tower_units": (3,), "wide": True, **stages, **changes}
    model = DTRN(schema, network=NETWORKS[network](tasks), **arguments)
    model.build()
    for weight in model.weights:  # biases too, which start at zero
        weight.assign(np.random.default_rng(seed).normal(0.0, 0.5, weight.shape))
        seed += 1
    return model


def _saved(model, data, path):
    """A directory that looks like that of a run."""
    (path / "best").mkdir(parents=True)
    model.save(path / "best" / "model.keras")
    for name in ("schema.yaml", "vocabularies", "statistics.json"):
        (path / name).symlink_to(f"{data}/{name}")
    return str(path)


def _logits(model, data, items=ITEMS):
    """Of rows whose items are known, or of one unknown to both models."""
    schema = small_schema()
    rows = [small_row(n, item=items[n % len(items)], liked_item=[items[n % len(items)]],
                      exposed_item=[items[0]] * 2, exposed_author=["ann", "bob"])
            for n in range(7)]
    raw = parse_examples([encode_example(row, schema) for row in rows], schema)
    features = Preprocessing(model.schema, data)(raw)
    features.pop("user_id", None)
    return {task: np.array(value) for task, value in model(features, training=False).items()}


@pytest.mark.parametrize("network", NETWORKS)
def test_old_tasks_and_ids_predict_as_before(network, small_data, changed_data, tmp_path):
    source = _model(small_schema(), network)
    run = _saved(source, small_data, tmp_path / "run")
    target = _model(_changed_schema(network), network, seed=100)
    start = WarmStart(run)
    start.apply(target, changed_data)
    known = [101, 103, 107, 113, 55]  # 55 is unknown to both
    before, after = _logits(source, small_data, known), _logits(target, changed_data, known)
    assert set(before) == SAME_TASKS and set(before) <= set(after)
    for task, value in before.items():
        np.testing.assert_allclose(after[task], value, rtol=2e-4, atol=2e-5, err_msg=task)
    assert "id: 6 kept, 2 new, 1 dropped" in start.table()
    assert ("task: 4 kept, 1 new" in start.table()) == (network not in FIXED_TASKS)


def test_an_equal_schema_predicts_bit_for_bit_and_everything_is_carried(small_data, tmp_path):
    source = _model(small_schema())
    run = _saved(source, small_data, tmp_path / "run")
    target = _model(small_schema(), seed=100)
    start = WarmStart(run)
    assert start.apply(target, small_data).keys() == weight_names(target).keys()
    assert start.table() == (f"warm start from {run}: {len(target.weights)} weights are carried "
                             "over whole")
    before, after = _logits(source, small_data), _logits(target, small_data)
    for task, value in before.items():
        np.testing.assert_array_equal(after[task], value)


def test_a_new_task_starts_from_another_or_fresh_and_new_rows_are_fresh(
        small_data, changed_data, tmp_path):
    source = _model(small_schema())
    run = _saved(source, small_data, tmp_path / "run")
    schema = _changed_schema("mmoe")
    copied, fresh = _model(schema, seed=100), _model(schema, seed=100)
    initial = {name: np.array(weight) for name, weight in weight_names(fresh).items()}
    start = WarmStart(run, ["wide/*", "towers/bias"], {"like": "order"})
    start.apply(copied, changed_data)
    WarmStart(run).apply(fresh, changed_data)
    names = weight_names(copied)
    for name in ("wide/item", "towers/bias"):
        np.testing.assert_array_equal(names[name], initial[name])
        assert f"{name}" in start.table() and "fresh, as --warm_start_fresh says" in start.table()
    assert "task like starts from task order" in start.table()
    heads = np.array(names["towers/heads/kernel"])
    np.testing.assert_array_equal(heads[0], heads[2])  # like, rating, order, click, long_view
    np.testing.assert_array_equal(heads[0], np.array(
        weight_names(source)["towers/heads/kernel"])[1])
    np.testing.assert_array_equal(weight_names(fresh)["towers/heads/kernel"][0],
                                  initial["towers/heads/kernel"][0])
    new, old = np.array(names["embedding/item"]), np.array(weight_names(source)["embedding/item"])
    # 113, 7, 101, 107, 8, 103 behind padding and unknown; 101, 103, 107, 109, 113 before.
    np.testing.assert_array_equal(new[[0, 1, 2, 4, 5, 7]], old[[0, 1, 6, 2, 4, 3]])
    np.testing.assert_array_equal(new[[3, 6]], initial["embedding/item"][[3, 6]])


def test_new_features_and_behaviours_are_listed(small_data, tmp_path):
    schema = small_schema()
    few = dataclasses.replace(schema, features=schema.features[:5], behaviors=schema.behaviors[:1])
    run = _saved(_model(few), small_data, tmp_path / "run")
    vector = NumericFeature(name="vector", level="request", size=3, length=3)
    start = WarmStart(run)
    pairs = start.apply(_model(dataclasses.replace(schema, features=(
        *schema.features[:5], vector))), small_data)
    table = start.table()
    for text in ("new: feature vector", "new: behaviour liked", "behaviour: 1 kept, 1 new",
                 "field: 6 kept, 2 new, 0 dropped"):
        assert text in table, table
    assert "vector_vector/kernel" not in pairs and "network/gates/kernel" in pairs
    # And back again.
    back = WarmStart(_saved(_model(dataclasses.replace(schema, features=(
        *schema.features[:5], vector))), small_data, tmp_path / "more"))
    back.apply(_model(few), small_data)
    assert "liked_embedding/positions" in back.table() and "dropped" in back.table()


def _hash_size(schema):
    vocabularies = [dataclasses.replace(v, size=12) if v.name == "city" else v
                    for v in schema.vocabularies]
    return _model(dataclasses.replace(schema, vocabularies=tuple(vocabularies)))


@pytest.mark.parametrize("make, text", [
    (lambda schema: _model(schema, embedding_width=5),
     r"interest/tasks should fit .* Received: shape 4x5 here, 4x4 there \(5 places and 4\). "
     r"Remedy: .*--warm_start_fresh=interest/\*\."),
    (lambda schema: _model(schema, tower_units=(7,)),
     r"towers/towers/hidden/0/kernel should fit .* 4x3x7 here, 4x3x3 there \(7 places and 3\)"
     r".*--warm_start_fresh=towers/\*"),
    (lambda schema: _model(schema, "shared_bottom"),
     r"network/bottom/hidden/0/kernel, of shape 1x36x5, should have a weight of the same name in "
     r".*Received: none. Remedy: give the model flags .*--warm_start_fresh=network/\*"),
    (_hash_size, r"embedding/city should fit .* 14x4 here, 13x4 there \(rows stand for hash "
     r"buckets of 12 and hash buckets of 11\). .*--warm_start_fresh=\*/city"),
    (lambda schema: _model(dataclasses.replace(schema, tasks=(
        Task(name="click", label="x", kind="regression"), *schema.tasks[1:]))),
     "task 'click' should be of the kind of task 'click' in .*: binary. Received: regression"),
])
def test_what_does_not_fit_is_one_error_and_changes_nothing(make, text, small_data, tmp_path):
    run = _saved(_model(small_schema()), small_data, tmp_path / "run")
    target = make(small_schema())
    before = target.get_weights()
    with pytest.raises(UserError, match=f"--warm_start: {text}"):
        WarmStart(run).apply(target, small_data)
    for value, old in zip(target.get_weights(), before):
        np.testing.assert_array_equal(value, old)


def test_bad_arguments(small_data, tmp_path):
    with pytest.raises(UserError, match="--warm_start should be a directory that pipelines.train "
                                        "wrote, with best/model.keras in it. Received: '/no/run'"):
        WarmStart("/no/run")
    run = _saved(_model(small_schema()), small_data, tmp_path / "run")
    target = _model(small_schema())
    with pytest.raises(UserError, match="--warm_start_fresh should be patterns .*'netwrk"):
        WarmStart(run, ["netwrk/*"]).apply(target, small_data)
    with pytest.raises(UserError, match="--warm_start_task should be pairs NEW:FROM, .*Received: "
                                        "click:order; new: none; tasks there: click, order"):
        WarmStart(run, (), {"click": "order"}).apply(target, small_data)
