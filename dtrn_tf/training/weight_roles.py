"""Which weights are tables, which the tasks share, and which belong to single tasks."""

from __future__ import annotations

import math
from typing import Any

from dtrn_tf.files import write_text
from dtrn_tf.models.weight_names import weight_names
from dtrn_tf.training.run_directory import RunDirectory

ROLES = ("table", "shared", "task", "frozen")


def weight_roles(model: Any) -> dict[str, str]:
    """{name of a weight: role}.

    `shared` are the dense weights that several tasks' losses pull at: gradient methods compare and
    combine the tasks' gradients on them. `task` are weights whose parts each belong to one task.
    `frozen` is what is not trained.

    Args:
        model: A `DTRN` that is built.
    """
    roles = {id(weight): role for role, weights in (
        ("shared", model.shared_weights), ("task", model.task_weights),
        ("table", model.embedding_tables)) for weight in weights}
    return {name: roles.get(id(weight), "frozen") if weight.trainable else "frozen"
            for name, weight in weight_names(model).items()}


def write_weight_roles(model: Any, run: RunDirectory) -> str:
    """Writes RUN/weights.tsv, a line a weight: role, name, shape, numbers.

    Args:
        model: A `DTRN` that is built.
        run: Where to write.

    Returns:
        The numbers of each role in one line.
    """
    weights, totals, lines = weight_names(model), dict.fromkeys(ROLES, 0), []
    for name, role in weight_roles(model).items():
        shape = tuple(weights[name].shape)
        totals[role] += math.prod(shape)
        lines.append(f"{role}\t{name}\t{'x'.join(map(str, shape))}\t{math.prod(shape)}\n")
    write_text(run.file("weights.tsv"), "role\tweight\tshape\tnumbers\n" + "".join(lines))
    parts = ", ".join(f"{role} {total:,}" for role, total in totals.items() if total)
    return f"weights: {parts} ({run.file('weights.tsv')})"
