"""What a run will train, in numbers: parameters and memory of every part of the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.layers.variables import table_variable
from dtrn_tf.models.weight_names import weight_names
from dtrn_tf.optimizers import PairedOptimizer
from dtrn_tf.text_table import text_table
from dtrn_tf.training.carried_slots import slots_of

_PARTS = {"embedding": "embedding tables", "wide": "wide tables", "interest": "TIM",
          "refinement": "TRM", "network": "network", "towers": "towers"}
_OTHER = "other embeddings"


def model_plan(model: Any, optimizer: PairedOptimizer) -> str:
    """Parameters and bytes by part, and which dense weights belong to single tasks.

    Args:
        model: A `DTRN` that is built.
        optimizer: Of all weights that are not frozen.
    """
    names = weight_names(model)
    of_tasks = {id(weight) for weight in model.task_weights}
    shared = {id(weight) for weight in model.shared_weights}
    slots = slots_of(optimizer)
    rows = [[part, *_row([names[name] for name in names if _part(name) == part], of_tasks, shared,
                         slots)] for part in (*_PARTS.values(), _OTHER)]
    rows.append(["all", *_row(list(names.values()), of_tasks, shared, slots)])
    head = ["part", "parameters", "dense, shared", "dense, of tasks", "frozen", "weights", "slots"]
    table = text_table([head, *(row for row in rows if row[1] != "0")])
    return "\n".join([
        table, "", "Dense weights of single tasks: " + _list(names, of_tasks),
        "Dense weights that tasks share: " + _list(names, shared)])


def bytes_text(number: float) -> str:
    """A number of bytes for readers.

    >>> bytes_text(1500), bytes_text(2.5e9)
    ('1.5 kB', '2.5 GB')
    """
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def batch_bytes(batch: Any) -> int:
    """Of all tensors of a batch."""
    flat = tf.nest.flatten(batch, expand_composites=True)
    return sum(np.asarray(tensor).nbytes for tensor in flat)


def _part(name: str) -> str:
    return _PARTS.get(name.split("/")[0], _OTHER)


def _row(weights: list[Any], of_tasks: set[int], shared: set[int],
         slots: dict[int, list[Any]]) -> list[str]:
    of_optimizer = [slot for weight in weights for slot in slots.get(
        id(table_variable(weight)), [])]
    groups = (weights, [w for w in weights if id(w) in shared],
              [w for w in weights if id(w) in of_tasks and w.trainable],
              [w for w in weights if not w.trainable])
    return [*(f"{sum(map(_size, group)):,}" for group in groups),
            *(bytes_text(4 * sum(map(_size, group))) for group in (weights, of_optimizer))]


def _size(weight: Any) -> int:
    return int(np.prod(weight.shape, dtype=np.int64))


def _list(names: dict[str, Any], chosen: set[int]) -> str:
    """Names, in short where all weights of a part are among them."""
    found: Iterable[str] = (name for name, weight in names.items() if id(weight) in chosen)
    short = []
    for name in found:
        stage = name.split("/")[0]
        others = [w for n, w in names.items() if n.split("/")[0] == stage]
        short.append(f"{stage}/*" if all(id(w) in chosen for w in others) else name)
    return ", ".join(dict.fromkeys(short)) or "none"
