"""AUC of exported models over a split, from what their signatures answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf import metrics
from dtrn_tf.data.examples import labels_and_weights, parse_examples
from dtrn_tf.data.reader import explain, read_serialized
from dtrn_tf.data.shards import Shards
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema
from export.signatures import EXAMPLES

_BATCH = 1024
_Columns = dict[str, np.ndarray]


def served_auc(saved_models: Sequence[str], schema: Schema, shards: Shards
               ) -> list[dict[str, float]]:
    """AUC per binary task of every model, over the rows where the task is observed.

    The records are read once; each model gets them as servers do, by `examples`.

    Args:
        saved_models: Directories.
        schema: Says what the labels are.
        shards: Checked files of records that every model can read.

    Returns:
        {task: AUC} of every model, in the order of the schema: the tasks that it has. NaN where
        it is not defined or the model says NaN.

    Raises:
        UserError: A model cannot be loaded, or called with these records.
        DataError: A record does not fit the schema.
    """
    signatures = [_signature(path) for path in saved_models]
    tasks = [task.name for task in schema.tasks if task.kind == "binary"]
    labels, weights, answers = [], [], []
    for serialized, of_batch, weights_of_batch in _labelled(schema, shards):
        labels.append(of_batch)
        weights.append(weights_of_batch)
        answers.append([_answer(signature, path, serialized)
                        for signature, path in zip(signatures, saved_models)])
    true, weight = _joined(labels), _joined(weights)
    return [{task: _auc(true[task], scores[task], weight[task])
             for task in tasks if task in scores}
            for scores in map(_joined, zip(*answers))]


def _labelled(schema: Schema, shards: Shards) -> Iterator[tuple[tf.Tensor, _Columns, _Columns]]:
    def with_labels(serialized: tf.Tensor) -> Any:
        return (serialized, *labels_and_weights(parse_examples(serialized, schema), schema))

    records = read_serialized(shards.files, batch_size=_BATCH, runs=shards.runs)
    try:
        for serialized, labels, weights in records.map(with_labels).prefetch(1):
            yield serialized, _arrays(labels), _arrays(weights)
    except tf.errors.OpError as error:
        raise explain(error, shards.files, schema, shards.bad_records) from error


def _signature(path: str) -> Any:
    try:
        return tf.saved_model.load(path).signatures[EXAMPLES]
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: should be a SavedModel with the signature {EXAMPLES!r}. "
                        f"Received: {type(error).__name__}: {error}. Remedy: leave --max_auc_drop "
                        "out to publish a version beside it.") from error


def _answer(signature: Any, path: str, serialized: tf.Tensor) -> _Columns:
    try:
        return _arrays(signature(examples=serialized))
    except tf.errors.OpError as error:
        raise UserError(
            f"{path}: its signature {EXAMPLES!r} should take the records of --data_dir. Received: "
            f"{_reason(error)}. Remedy: name a --data_dir whose records fit both "
            "models, or leave --max_auc_drop out.") from error


def _reason(error: tf.errors.OpError) -> str:
    """The line of the message that says why, without the names of graph nodes."""
    lines = error.message.split(" [[{{", maxsplit=1)[0].strip().splitlines()
    return lines[-1].rstrip(".")


def _auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    observed = weights > 0.0
    return metrics.auc(labels[observed], scores[observed], weights[observed])


def _arrays(tensors: Mapping[str, Any]) -> _Columns:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _joined(parts: Sequence[_Columns]) -> _Columns:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
