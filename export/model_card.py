"""The text beside an exported model: what it predicts, what it wants, how it was made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.data.preprocessing import padded_inputs
from dtrn_tf.schema import Schema, Task
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
        "holds the features below (a list as a list of its own length, without the length",
        "inputs), under the name in parentheses if there is one; what else it holds is ignored.",
        *(_REQUESTS if schema.layout == "request" else ()),
        "",
        "## Dense inputs",
        "",
        *_table(("name", "type", "shape", "what"), [
            (f"`{name}`", spec.dtype.name, _shape(spec), _meanings(schema)[name])
            for name, spec in specs.items()]),
        "",
        "Of the L positions, which may differ from call to call, the first `..._length` count;",
        "what stands behind them is ignored.",
        "",
        "## A request",
        "",
        "```json",
        *_json_request(_instance(schema, specs)),
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
    sizes = ["B"] + ["L" if size is None else str(size) for size in spec.shape[1:]]
    return f"[{', '.join(sizes)}]"


def _meanings(schema: Schema) -> dict[str, str]:
    """One text for every dense input."""
    meanings = {}
    sizes = {f.name: f.size for f in schema.record_features}
    for f in schema.categorical_features:
        ids = "ids" if f.multiple else "id"
        meanings[f.name] = f"{ids} of {f.vocabulary}, {f.level}{_in_records(f.source, f.name)}"
        if f.weights:
            meanings[f.weights_name] = (f"weights of `{f.name}`"
                                        f"{_in_records(f.weights, f.weights_name)}")
    for n in schema.numeric_features:
        numbers = "number" if n.size == 1 else "numbers"
        part = f"[{n.offset}:{n.end}]" if n.size != sizes[n.source] else ""
        source = _in_records(n.source, n.name, part)
        meanings[n.name] = f"{numbers}, {n.level}{source}"
    for b in schema.behaviors:
        for s in b.features:
            what = "times" if s.gap else f"ids of {s.vocabulary}"
            meanings[s.name] = (f"{what}, {b.order.replace('_', ' ')}, the newest {b.max_length} "
                                f"are used{_in_records(s.source, s.name)}")
    if schema.time:
        source = _in_records(schema.time.source, schema.time.name)
        meanings[schema.time.name] = f"time of the request{source}"
    for length_name, lists in padded_inputs(schema).items():
        meanings[length_name] = f"valid positions of {', '.join(f'`{name}`' for name in lists)}"
    return meanings


def _in_records(source: str, name: str, part: str = "") -> str:
    return f" (in Examples: `{source}`{part})" if part or source != name else ""


def _json_request(instance: Mapping[str, Any]) -> list[str]:
    """One input a line: a vector would take many."""
    inputs = [f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in instance.items()]
    return ["{", f'  "signature_name": "{SERVING_DEFAULT}",', '  "instances": [{',
            ",\n".join(inputs), "  }]", "}"]


def _instance(schema: Schema, specs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    """One row in the JSON of TensorFlow Serving, all lists of length 1."""
    lengths = dict.fromkeys(padded_inputs(schema), 1)
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        value: Any = "a" if spec.dtype == tf.string else np.zeros((), spec.dtype.as_numpy_dtype)
        value = value if isinstance(value, str) else value.item()
        values[name] = lengths.get(name, value)
        if spec.shape.rank == 2:
            values[name] = [value] * (spec.shape[1] or 1)
    return values
