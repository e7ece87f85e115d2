"""What the model card says of the signature `bottom`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from dtrn_tf.schema import Schema
from export.markdown import table
from export.signatures import BOTTOM


def representations_text(schema: Schema, outputs: Mapping[str, tf.TensorSpec]) -> list[str]:
    """Markdown lines with the shapes of the outputs and what stands where on their axes."""
    axes = {"bottom": ("B", "task, field, element"),
            "interests": ("R (with target attention B)", "task, behaviour, element")}
    rows = [(f"`{name}`", spec.dtype.name, _shape(axes[name][0], spec), axes[name][1])
            for name, spec in outputs.items()]
    behaviors = [behavior.name for behavior in schema.behaviors]
    return [
        f"## Representations (`{BOTTOM}`)",
        "",
        *table(("output", "type", "shape", "axes behind the rows"), rows),
        "",
        f"- Tasks, or one place for all of them: {_names(schema.task_names)}.",
        *([f"- Behaviours: {_names(behaviors)}."] if behaviors else []),
        f"- Fields, in this order: {_names(schema.field_names)}.",
        "",
    ]


def _shape(rows: str, spec: tf.TensorSpec) -> str:
    return f"[{', '.join([rows, *map(str, spec.shape[1:])])}]"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
