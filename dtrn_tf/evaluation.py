"""Predictions of a model over a data set, and their metrics per task."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf import metrics
from dtrn_tf.errors import DataError, UserError
from dtrn_tf.files import write_json
from dtrn_tf.schema import Schema
from dtrn_tf.text_table import text_table

Results = dict[str, dict[str, float]]
Forward = Callable[[Mapping[str, Any]], Mapping[str, tf.Tensor]]
Model = Callable[..., Mapping[str, tf.Tensor]]

_HEADINGS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "log_loss": "log loss",
    "normalized_entropy": "norm. entropy",
    "squared_error": "squared error",
    "calibration": "calibration",
    "rows": "rows",
    "positives": "positives",
}
_COUNTS = ("rows", "positives")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says about every row of a data set, beside what is true.

    Args:
        logits: Per task [B]; the value itself for a regression.
        labels: Per task [B].
        weights: Per task [B]; 0 where the task is not observed.
        groups: [B] group keys for GAUC, or None.
    """

    logits: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    groups: np.ndarray | None = None


def compile_forward(
    model: Model, dataset: tf.data.Dataset, group: str | None = None
) -> Forward:
    """The model's inference call as one graph for every batch size of the data set.

    Keep the result to call `predict` often without tracing again.

    Args:
        model: Maps features to logits {task: [B]}.
        dataset: Batches of (features, labels, weights).
        group: Name of the group key among the features; the model does not get it.

    Returns:
        A function of the features (without the group key) of a batch.
    """
    spec = {name: s for name, s in dataset.element_spec[0].items() if name != group}

    @tf.function(input_signature=[spec])
    def forward(features: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        return model(features, training=False)

    return forward


def predict(
    model: Model,
    dataset: tf.data.Dataset,
    *,
    group: str | None = None,
    forward: Forward | None = None,
) -> Predictions:
    """Runs the model over a data set.

    Args:
        model: Maps features to logits {task: [B]}.
        dataset: Finite; batches of (features, labels {task: [B]}, weights {task: [B]}), in
            batches of any size.
        group: Name of the group key among the features, for GAUC.
        forward: What `compile_forward` returned, to save the tracing.

    Returns:
        The predictions of all rows, in the order of the data set.

    Raises:
        DataError: The data set is empty.
        ValueError: The tasks of model and data differ.
    """
    forward = forward or compile_forward(model, dataset, group)
    batches = []
    for features, labels, weights in dataset:
        inputs = {name: value for name, value in features.items() if name != group}
        groups = {} if group is None else {group: features[group]}
        batches.append(tf.nest.map_structure(
            lambda tensor: tensor.numpy(), (dict(forward(inputs)), labels, weights, groups)))
    if not batches:
        raise DataError("the data set should hold at least one record. Received: none. "
                        "Remedy: check the files and the split that it was made of.")
    logits, labels, weights, groups = (_concatenate(parts) for parts in zip(*batches))
    _check_equal_tasks(logits, labels, weights)
    return Predictions(logits=logits, labels=labels, weights=weights,
                       groups=None if group is None else groups[group])


def evaluate(predictions: Predictions, schema: Schema) -> Results:
    """Metrics per task over the rows with a weight above 0.

    Args:
        predictions: Of every task of the schema.
        schema: Says which tasks are binary.

    Returns:
        Per binary task `auc`, `gauc`, `log_loss`, `normalized_entropy`, `calibration`, `rows` and
        `positives`; per regression `squared_error`, `calibration` and `rows`. What is not
        defined (AUC of one class, GAUC without groups) is NaN.
    """
    return {
        task.name: (_evaluate_binary if task.kind == "binary" else _evaluate_regression)(
            *_observed(predictions, task.name))
        for task in schema.tasks
    }


def metrics_table(results: Mapping[str, Mapping[str, float | None]]) -> str:
    """Results as a table, one line a task; `undefined` where a metric has no value.

    >>> print(metrics_table({"click": {"auc": 0.75, "gauc": float("nan"), "rows": 1200}}))
    task      AUC       GAUC   rows
    click  0.7500  undefined  1,200
    """
    columns = [key for key in _HEADINGS if any(key in result for result in results.values())]
    rows = [["task", *(_HEADINGS[key] for key in columns)]]
    rows += [[task, *(_cell(key, result[key]) if key in result else "" for key in columns)]
             for task, result in results.items()]
    return text_table(rows)


def write_metrics(
    results: Mapping[str, Mapping[str, Any]], path: str | os.PathLike[str]
) -> None:
    """Writes results as JSON; NaN becomes null.

    Raises:
        UserError: The file cannot be written.
    """
    path = os.fspath(path)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        write_json(path, results)
    except OSError as error:
        raise UserError(f"{path} should be a file that can be written. "
                        f"Received: {error.strerror}.") from error


def _concatenate(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_equal_tasks(*named: Mapping[str, np.ndarray]) -> None:
    logits, labels, weights = (sorted(part) for part in named)
    if not logits == labels == weights:
        raise ValueError("logits, labels and weights should have the same tasks. Received: "
                         f"{logits}, {labels} and {weights}.")


def _observed(
    predictions: Predictions, task: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels, logits, weights and groups of the rows that count; float64 for exact sums."""
    weights = predictions.weights[task].astype(np.float64)
    rows = weights > 0.0
    groups = None if predictions.groups is None else predictions.groups[rows]
    return (predictions.labels[task][rows].astype(np.float64),
            predictions.logits[task][rows].astype(np.float64), weights[rows], groups)


def _evaluate_binary(
    labels: np.ndarray, logits: np.ndarray, weights: np.ndarray, groups: np.ndarray | None
) -> dict[str, float]:
    # Equal to the sigmoid; tanh does not overflow.
    probabilities = 0.5 + 0.5 * np.tanh(0.5 * logits)
    gauc = (float("nan") if groups is None
            else metrics.grouped_auc(labels, logits, groups, weights))
    return {
        "auc": metrics.auc(labels, logits, weights),
        "gauc": gauc,
        "log_loss": metrics.log_loss(labels, logits, weights),
        "normalized_entropy": metrics.normalized_entropy(labels, logits, weights),
        "calibration": metrics.calibration_ratio(labels, probabilities, weights),
        "rows": len(labels),
        "positives": int(np.sum(labels)),
    }


def _evaluate_regression(
    labels: np.ndarray, values: np.ndarray, weights: np.ndarray, _: np.ndarray | None
) -> dict[str, float]:
    return {
        "squared_error": metrics.mean_squared_error(labels, values, weights),
        "calibration": metrics.calibration_ratio(labels, values, weights),
        "rows": len(labels),
    }


def _cell(key: str, value: float | None) -> str:
    # A metric without a value is NaN, and null in JSON.
    if value is None or not math.isfinite(value):
        return "undefined"
    return f"{value:,}" if key in _COUNTS else f"{value:.4f}"
