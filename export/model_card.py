"""The text beside an exported model: what it predicts, what it wants, how it was made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.schema import BehaviorSequence, Schema, Task
from export.signatures import EXAMPLES, SERVING_DEFAULT, dense_inputs


_REQUESTS = (
    "An Example is a request with all of its candidates: one value for each feature of the",
    "request, a list with one value per candidate for each feature of the candidate. The outputs",
    "are those of all candidates, one request after the other: R requests give B values, so a",
    "server should not merge calls of this signature.",
)


def model_card(schema: Schema, model_name: str, difference: float, tolerance: float,
               batch_sizes: Sequence[int]) -> str:
    """Markdown with the names, types and shapes that a client needs.

    Args:
        schema: Of the model.
        model_name: Its name on the server.
        difference: Largest difference of an output to the Keras model in verification.
        tolerance: What was allowed.
        batch_sizes: At which it was verified.
    """
    specs = dense_inputs(schema)
    axis = "R" if schema.layout == "request" else "B"
    sizes = ", ".join(map(str, batch_sizes))
    return "\n".join([
        f"# {model_name}",
        "",
        "## Outputs",
        "",
        *_table(("name", "type", "shape", "what"), map(_output, schema.tasks)),
        "",
        "## Signatures",
        "",
        *_table(("signature", "inputs", "outputs"), [
            *((f"`{task}`", "dense", f"`{task}`") for task in schema.task_names),
            (f"`{SERVING_DEFAULT}`", "dense", "all"),
            (f"`{EXAMPLES}`", f"`examples`: string [{axis}], serialized tf.train.Example", "all"),
        ]),
        "",
        "B is the number of rows of a call; every dense input has the same. A tf.train.Example",
        "holds the features below (a sequence as a list of its own length, without the length",
        "inputs); what else it holds is ignored.",
        *(_REQUESTS if schema.layout == "request" else ()),
        "",
        "## Dense inputs",
        "",
        *_table(("name", "type", "shape", "what"), [
            (f"`{name}`", spec.dtype.name, _shape(spec), what)
            for (name, spec), what in zip(specs.items(), _meanings(schema), strict=True)]),
        "",
        "Sequences are oldest first. Of the L positions, which may differ from call to call, the",
        "first `..._length` count; what stands behind them is ignored. The newest positions up",
        "to the model's maximum are used.",
        "",
        "## A request",
        "",
        "```json",
        json.dumps({"signature_name": SERVING_DEFAULT, "instances": [_instance(schema, specs)]},
                   indent=2),
        "```",
        "",
        "## Verification",
        "",
        f"Every signature was called at batch sizes {sizes} in a process without Keras, with the",
        f"loaders of TensorFlow 1 and 2 (TensorFlow {tf.__version__}). The largest difference to",
        f"the Keras model was {difference:.1e} (allowed: {tolerance:.0e}), relative to the value",
        "where that is above 1.",
        "",
        "Beside this file: schema, flags, statistics, versions and metrics of the training run,",
        "as far as it wrote them.",
        "",
    ])


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _output(task: Task) -> tuple[str, str, str, str]:
    rule = ""
    if task.at_least is not None:
        rule = f" >= {task.at_least:g}"
    elif task.one_of is not None:
        rule = f" in {list(task.one_of)}"
    what = (f"probability of `{task.label}`{rule}" if task.kind == "binary"
            else f"value of `{task.label}`")
    return f"`{task.name}`", "float32", "[B]", what


def _shape(spec: tf.TensorSpec) -> str:
    return "[B]" if spec.shape.rank == 1 else "[B, L]"


def _meanings(schema: Schema) -> list[str]:
    """One text for every dense input, in the same order."""
    ids = [f"id of {f.vocabulary}, {f.level}" for f in schema.categorical_features]
    numbers = [f"number, {f.level}" for f in schema.numeric_features]
    return ids + numbers + [
        f"ids of {feature.vocabulary}, the newest {behavior.max_length} are used"
        for behavior in schema.behaviors for feature in behavior.features
    ] + [_length_meaning(behavior) for behavior in schema.behaviors]


def _length_meaning(behavior: BehaviorSequence) -> str:
    names = ", ".join(f"`{feature.name}`" for feature in behavior.features)
    return f"valid positions of {names}"


def _instance(schema: Schema, specs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    """One row in the JSON of TensorFlow Serving."""
    lengths = {behavior.length_name: 1 for behavior in schema.behaviors}
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        value: Any = "a" if spec.dtype == tf.string else np.zeros((), spec.dtype.as_numpy_dtype)
        value = value if isinstance(value, str) else value.item()
        values[name] = lengths.get(name, [value] if spec.shape.rank == 2 else value)
    return values
