"""What the signatures of a model say of some records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.schema import Schema
from export.signatures import BOTTOM, EXAMPLES
from export.verification import dense_request


def call_signatures(
    signatures: Mapping[str, Any], schema: Schema, records: Sequence[bytes]
) -> dict[str, dict[str, Any]]:
    """What every signature that predicts says of serialized records: {signature: {task: [B]}}."""
    serialized = tf.constant(records)
    raw = parse_examples(serialized, schema, labels=False)
    dense = {name: tf.constant(value) for name, value in dense_request(raw, schema).items()}
    return {
        name: {task: output.numpy() for task, output in signature(
            **({"examples": serialized} if name == EXAMPLES else dense)).items()}
        for name, signature in signatures.items() if name != BOTTOM
    }


def answers_table(outputs: Mapping[str, Mapping[str, Any]], tasks: Sequence[str]) -> str:
    """One line per row and signature, one column per task.

    >>> print(answers_table({"click": {"click": [0.25]},
    ...                      "examples": {"click": [0.25], "buy": [0.5]}}, ("click", "buy")))
    row  signature   click     buy
      0  click      0.2500
      0  examples   0.2500  0.5000
    """
    width = max(map(len, ["signature", *outputs]))
    widths = [max(7, len(task)) for task in tasks]
    lines = [f"row  {'signature':<{width}}" + "".join(
        f" {task:>{w}}" for task, w in zip(tasks, widths))]
    num_rows = len(next(iter(next(iter(outputs.values())).values())))
    for row in range(num_rows):
        for name, values in outputs.items():
            cells = "".join(f" {values[task][row]:>{w}.4f}" if task in values else " " * (w + 1)
                            for task, w in zip(tasks, widths))
            lines.append(f"{row:>3}  {name:<{width}}{cells}".rstrip())
    return "\n".join(lines)
