import json

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf import evaluation, metrics
from dtrn_tf.errors import DataError, UserError
from dtrn_tf.schema import CategoricalFeature, Schema, Task, Vocabulary

keras = tf.keras

SCHEMA = Schema(
    vocabularies=(Vocabulary(name="item", kind="identity", size=11),),
    features=(CategoricalFeature(name="item", vocabulary="item", level="candidate"),),
    tasks=(Task(name="click", label="is_click"),
           Task(name="stay", label="seconds", dtype="float32", kind="regression")))


class StandIn(keras.Model):
    """Logits by a formula of the features; counts how often it is traced."""

    def __init__(self):
        super().__init__()
        self.traces = 0

    def call(self, inputs, training=None):
        self.traces += 1
        assert training is False
        assert "user" not in inputs
        number = tf.cast(inputs["item"], tf.float32)
        history = tf.cast(tf.reduce_sum(inputs["liked_item"], axis=1), tf.float32)
        return {"click": number - 5.0, "stay": number + history}


def make_columns(rows, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 4, rows)
    return {
        "item": random.integers(0, 11, rows).astype(np.int32),
        "liked_item": tf.RaggedTensor.from_row_lengths(
            random.integers(0, 7, lengths.sum()).astype(np.int32), lengths),
        "user": np.array([f"user-{u}" for u in random.integers(0, 5, rows)]),
        "click": random.integers(0, 2, rows).astype(np.float32),
        "stay": random.random(rows).astype(np.float32),
        "weight": random.integers(0, 3, rows).astype(np.float32),
    }


def make_dataset(columns, batch_size):
    features = {name: columns[name] for name in ("item", "liked_item", "user")}
    labels = {name: columns[name] for name in ("click", "stay")}
    weights = {name: columns["weight"] for name in ("click", "stay")}
    return tf.data.Dataset.from_tensor_slices((features, labels, weights)).batch(batch_size)


def test_predict_gives_every_row_once_in_order_whatever_the_batch_size():
    columns = make_columns(53)
    history = tf.reduce_sum(columns["liked_item"], axis=1).numpy()
    for batch_size in (7, 53, 1000):
        predictions = evaluation.predict(
            StandIn(), make_dataset(columns, batch_size), group="user")
        np.testing.assert_allclose(predictions.logits["click"], columns["item"] - 5.0)
        np.testing.assert_allclose(predictions.logits["stay"], columns["item"] + history)
        np.testing.assert_array_equal(predictions.labels["click"], columns["click"])
        np.testing.assert_array_equal(predictions.weights["stay"], columns["weight"])
        np.testing.assert_array_equal(predictions.groups, columns["user"].astype("S"))


def test_predict_traces_once_for_all_batches_and_calls():
    model, dataset = StandIn(), make_dataset(make_columns(53), 7)
    forward = evaluation.compile_forward(model, dataset, group="user")
    for _ in range(2):
        evaluation.predict(model, dataset, group="user", forward=forward)
    assert model.traces == 1


def test_predict_without_a_group_has_no_groups():
    dataset = make_dataset(make_columns(5), 2)
    dataset = dataset.map(lambda x, y, w: ({k: v for k, v in x.items() if k != "user"}, y, w))
    assert evaluation.predict(StandIn(), dataset).groups is None


def test_predict_refuses_an_empty_data_set():
    dataset = make_dataset(make_columns(5), 2).take(0)
    with pytest.raises(DataError, match="at least one record. Received: none"):
        evaluation.predict(StandIn(), dataset, group="user")


def test_predict_refuses_other_tasks_than_those_of_the_model():
    dataset = make_dataset(make_columns(5), 2).map(lambda x, y, w: (x, {"buy": y["click"]}, w))
    with pytest.raises(ValueError, match=r"same tasks\. Received: \['click', 'stay'\], \['buy'\]"):
        evaluation.predict(StandIn(), dataset, group="user")


def make_predictions(rows=101, seed=3):
    random = np.random.default_rng(seed)
    click = random.normal(size=rows).astype(np.float32)
    return evaluation.Predictions(
        logits={"click": click, "stay": click + 1},
        labels={"click": (random.random(rows) < 0.4).astype(np.float32), "stay": 2 * click + 3},
        weights={"click": random.integers(0, 3, rows).astype(np.float32),
                 "stay": np.ones(rows, np.float32)},
        groups=random.integers(0, 7, rows))


def test_evaluate_leaves_out_rows_without_weight():
    predictions = make_predictions()
    # What is not observed may be anything, NaN included.
    unobserved = predictions.weights["click"] == 0
    predictions.logits["click"][unobserved] = np.nan
    predictions.labels["click"][unobserved] = -1
    keep = ~unobserved
    labels, logits = predictions.labels["click"][keep], predictions.logits["click"][keep]
    weights, groups = predictions.weights["click"][keep], predictions.groups[keep]
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    assert evaluation.evaluate(predictions, SCHEMA)["click"] == pytest.approx({
        "auc": metrics.auc(labels, logits, weights),
        "gauc": metrics.grouped_auc(labels, logits, groups, weights),
        "log_loss": metrics.log_loss(labels, logits, weights),
        "normalized_entropy": metrics.normalized_entropy(labels, logits, weights),
        "calibration": metrics.calibration_ratio(labels, probabilities, weights),
        "rows": keep.sum(),
        "positives": labels.sum(),
    }, rel=1e-9)


def test_evaluate_a_regression():
    predictions = make_predictions()
    difference = predictions.logits["stay"] - predictions.labels["stay"]
    result = evaluation.evaluate(predictions, SCHEMA)["stay"]
    assert set(result) == {"squared_error", "calibration", "rows"}
    assert result["squared_error"] == pytest.approx(np.mean(difference ** 2), rel=1e-5)
    assert result["calibration"] == pytest.approx(
        predictions.logits["stay"].mean() / predictions.labels["stay"].mean(), rel=1e-5)
    assert result["rows"] == 101


def test_one_class_is_undefined_in_the_result_the_table_and_the_file(tmp_path):
    predictions = make_predictions()
    predictions.labels["click"][:] = 0
    results = evaluation.evaluate(predictions, SCHEMA)
    assert np.isnan([results["click"][k] for k in ("auc", "gauc", "calibration")]).all()
    assert evaluation.metrics_table(results).splitlines()[1].split().count("undefined") == 4
    evaluation.write_metrics(results, tmp_path / "made" / "metrics.json")
    written = json.loads((tmp_path / "made" / "metrics.json").read_text())
    assert written["click"]["auc"] is None
    assert written["click"]["rows"] == results["click"]["rows"]
    assert written["stay"]["squared_error"] == results["stay"]["squared_error"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["metrics.json"]


def test_gauc_without_groups_is_undefined():
    predictions = make_predictions()
    predictions = evaluation.Predictions(
        logits=predictions.logits, labels=predictions.labels, weights=predictions.weights)
    assert np.isnan(evaluation.evaluate(predictions, SCHEMA)["click"]["gauc"])


def test_table_lists_every_task_and_leaves_what_does_not_apply_empty():
    table = evaluation.metrics_table({
        "click": {"auc": 0.75, "log_loss": 0.5, "rows": 42315, "positives": 18000},
        "stay": {"squared_error": 1.5, "rows": 42315}})
    assert table.splitlines() == [
        "task      AUC  log loss  squared error    rows  positives",
        "click  0.7500    0.5000                 42,315     18,000",
        "stay                            1.5000  42,315",
    ]


def test_metrics_file_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="should be a file that can be written. Received: File e"):
        evaluation.write_metrics({}, tmp_path / "file" / "metrics.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="should be a file that can be written. Received: Is a d"):
        evaluation.write_metrics({}, tmp_path / "folder")
