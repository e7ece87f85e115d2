"""The text beside an exported model: what it predicts, what it wants, how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.data.preprocessing import padded_inputs
from dtrn_tf.schema import Schema, Task
from export.dense_inputs import candidate_inputs, dense_inputs
from export.markdown import table
from export.representations_text import representations_text
from export.signatures import BOTTOM, EXAMPLES, SERVING_DEFAULT


_REQUESTS = (
    "An Example is a request with all of its candidates: one value for each feature of the",
    "request, a list with one value per candidate for each feature of the candidate. The outputs",
    "are those of all candidates, one request after the other: R requests give B values, so a",
    "server should not merge calls of this signature.",
)


def model_card(schema: Schema, model_name: str, difference: float, tolerance: float,
               batch_sizes: Sequence[int],
               representations: Mapping[str, tf.TensorSpec] | None = None) -> str:
    """Markdown with the names, types and shapes that a client needs.

    Args:
        schema: Of the model.
        model_name: Its name on the server.
        difference: Largest difference of an output to the Keras model in verification.
        tolerance: What was allowed.
        batch_sizes: At which it was verified.
        representations: The outputs of the signature `bottom`, if there is one.
    """
    specs, candidates = dense_inputs(schema), candidate_inputs(schema)
    sizes = ", ".join(map(str, batch_sizes))
    return "\n".join([
        f"# {model_name}",
        "",
        "## Outputs",
        "",
        *table(("name", "type", "shape", "what"), map(_output, schema.tasks)),
        "",
        "## Signatures",
        "",
        *table(("signature", "inputs", "outputs"), [
            *((f"`{task}`", "dense", f"`{task}`") for task in schema.task_names),
            (f"`{SERVING_DEFAULT}`", "dense", "all"),
            (f"`{EXAMPLES}`", f"`examples`: string [{_axis(schema)}], serialized tf.train.Example",
             "all"),
            *([(f"`{BOTTOM}`", "dense", "representations, for analysis")] if representations
              else []),
        ]),
        "",
        "The signature of a task computes that task alone. B is the number of candidates of a",
        "call, R that of requests: 1 (one user, whose inputs stand once for all candidates) or B",
        "(a row for every candidate, as a server that merges calls needs it). A tf.train.Example",
        "holds the features below (a list as a list of its own length, without the length",
        "inputs), under the name in parentheses if there is one; what else it holds is ignored.",
        *(_REQUESTS if schema.layout == "request" else ()),
        "",
        *(representations_text(schema, representations) if representations else ()),
        "## Dense inputs",
        "",
        *table(("name", "type", "shape", "what"), [
            (f"`{name}`", spec.dtype.name, _shape(spec, "B" if name in candidates else "R"),
             _meanings(schema)[name])
            for name, spec in specs.items()]),
        "",
        "Of the L positions, which may differ from call to call, the first `..._length` count;",
        "what stands behind them is ignored. Unknown ids are one id; numbers that are not finite",
        "count as missing. A shape or length that does not fit is an error that names the input.",
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
        f"the Keras model was {difference:.1e} (allowed: {tolerance:.0e}), relative to the largest",
        "value of an output where that is above 1.",
        "",
        "Beside this file: schema, flags, statistics, versions and metrics of the training run,",
        "as far as it wrote them.",
        "",
    ])


def _output(task: Task) -> tuple[str, str, str, str]:
    rule = ""
    if task.at_least is not None:
        rule = f" >= {task.at_least:g}"
    elif task.one_of is not None:
        rule = f" in {list(task.one_of)}"
    what = (f"probability of `{task.label}`{rule}" if task.kind == "binary"
            else f"value of `{task.label}`")
    return f"`{task.name}`", "float32", "[B]", what


def _axis(schema: Schema) -> str:
    return "R" if schema.layout == "request" else "B"


def _shape(spec: tf.TensorSpec, rows: str) -> str:
    sizes = [rows] + ["L" if size is None else str(size) for size in spec.shape[1:]]
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
