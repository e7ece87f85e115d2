"""What training changes, as a checkpoint takes it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.variables import shards


def trained_state(model: Any, optimizer: Any) -> dict[str, Any]:
    """Weights and slots by name.

    Keras cannot save a weight that is split over servers, so then the parts themselves are
    named; each server writes its own, and no table passes through the chief.

    Args:
        model: Built.
        optimizer: A `PairedOptimizer` of its weights.
    """
    parts = [shards(weight) for weight in model.weights]
    if all(len(of_weight) == 1 for of_weight in parts):
        return {"model": model, "optimizer": optimizer}
    rows = optimizer.embedding
    return {"weights": [part for of_weight in parts for part in of_weight],
            "slots": list(rows.slots), "dense_optimizer": optimizer.dense,
            "steps_of_rows": [rows.steps, rows.steps_before]}


def holds_parts(path: str) -> bool:
    """Whether the state in a checkpoint is that of tables split over servers."""
    return any(name.startswith("slots/") for name, _ in tf.train.list_variables(path))
