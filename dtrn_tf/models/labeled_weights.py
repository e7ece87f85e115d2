"""A model's weights with names for the places of their axes: ids, tasks, fields, behaviours."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtrn_tf.layers import AITM
from dtrn_tf.models.axis import Axis
from dtrn_tf.models.network_axes import Rule, network_rules
from dtrn_tf.models.weight_names import weight_names
from dtrn_tf.schema import Schema


@dataclass(frozen=True)
class LabeledWeight:
    """A weight and what its axes stand for.

    Args:
        name: As `weight_names` gives it, but with the name of a task in place of its number.
        weight: The variable.
        axes: One for each; None where a place is known by its number alone.
        part: The feature, behaviour or vocabulary that the weight belongs to, or None.
    """

    name: str
    weight: Any
    axes: tuple[Axis | None, ...]
    part: str | None = None


def labeled_weights(model: Any, rows: Mapping[str, Sequence[Hashable]],
                    tasks: Sequence[str] | None = None) -> dict[str, LabeledWeight]:
    """The weights of a `DTRN` by name, with all that their axes stand for.

    Args:
        model: Built.
        rows: For every vocabulary, what the rows of its tables stand for.
        tasks: What the places of the tasks stand for; by default the tasks themselves.

    Raises:
        TypeError: Nothing is known about the model's network.
    """
    tasks = list(tasks or model.schema.task_names)
    rules = list(_rules(model, rows, tasks))
    parts = _parts(model.schema)
    labeled = {}
    for name, weight in weight_names(model).items():
        axes = next((axes for pattern, axes in rules if fnmatch.fnmatchcase(name, pattern)), ())
        axes += (None,) * (len(weight.shape) - len(axes))
        for axis, length in zip(axes, weight.shape):
            assert axis is None or axis.length == length, (name, axis, weight.shape)
        part = parts.get(name.split("/")[0]) or _vocabulary_part(name)
        labeled[name] = LabeledWeight(name, weight, axes, part)
        if isinstance(model.network, AITM):
            labeled[name] = _by_task(labeled[name], tasks)
    return labeled


def _rules(model: Any, rows: Mapping[str, Sequence[Hashable]],
           tasks: list[str]) -> Iterator[Rule]:
    schema, width = model.schema, model.embedding_width
    of_task, fields = Axis("task", tasks), _fields(schema)
    inputs = Axis("field", fields, width)
    num_slices = getattr(model.network, "num_slices", 1)
    slices = [*tasks, "shared"] if num_slices > 1 else ["all tasks"]
    columns = Axis("task", slices, width // num_slices)
    for name, ids in rows.items():
        yield f"embedding/{name}", (Axis("id", ids), columns)
        yield f"wide/{name}", (Axis("id", ids), of_task)
    yield from _embedding_rules(schema, columns, num_slices)
    yield from _interest_rules(model, tasks)
    yield "target_projection/kernel", (Axis("field", [
        f.name for f in schema.features if f.level == "candidate"], width),)
    yield "refinement/hidden/hidden/0/kernel", (of_task, inputs)
    excited = Axis("field", fields)
    if getattr(model.refinement, "granularity", "field") == "element":
        excited = inputs
    yield "refinement/excitation/kernel", (of_task, None, excited)
    yield "refinement/excitation/bias", (of_task, excited)
    yield "refinement/*", (of_task,)
    yield "towers/*", (of_task,)
    network_inputs = Axis("field", fields, width // num_slices)
    for pattern, axes in network_rules(model.network, tasks, network_inputs):
        yield f"network/{pattern}", axes


def _fields(schema: Schema) -> list[str]:
    """In the order in which `DTRN` puts them side by side: request, interests, candidate."""
    of_level = {level: [f.name for f in schema.features if f.level == level]
                for level in ("request", "candidate")}
    return [*of_level["request"], *(f"behaviour {b.name}" for b in schema.behaviors),
            *of_level["candidate"]]


def _embedding_rules(schema: Schema, columns: Axis, num_slices: int) -> Iterator[Rule]:
    slice_width = columns.length // num_slices
    for level in ("request", "candidate"):
        numbers = Axis("feature", [f.name for f in schema.scalar_features if f.level == level])
        yield f"{level}_numeric_embedding/*", (numbers, columns)
    for feature in schema.vector_features:
        yield f"{feature.name}_vector/kernel", (None, columns)
        yield f"{feature.name}_vector/bias", (columns,)
    for b in schema.behaviors:
        sides = Axis("feature", [f.name for f in b.features], slice_width)
        whole = sides if num_slices == 1 else None
        yield f"{b.name}_embedding/positions", (Axis("position", range(b.max_length)), columns)
        if whole:
            yield f"{b.name}_embedding/projection/kernel", (whole,)
        else:
            of_slice = Axis("task", columns.names)
            yield f"{b.name}_embedding/projection/kernel", (of_slice, sides)
            yield f"{b.name}_embedding/projection/bias", (of_slice,)


def _interest_rules(model: Any, tasks: list[str]) -> Iterator[Rule]:
    num_views = getattr(model.interest, "num_tasks", 1)
    views = Axis("task", tasks if num_views == len(tasks) else ["all tasks"])
    behaviors = Axis("behaviour", [b.name for b in model.schema.behaviors])
    yield "interest/tasks", (views,)
    yield "interest/behaviors", (behaviors,)
    yield "interest/no_history", (views, behaviors)


def _parts(schema: Schema) -> dict[str, str]:
    """What layers belong to, by their names."""
    return ({f"{f.name}_vector": f"feature {f.name}" for f in schema.vector_features}
            | {f"{b.name}_embedding": f"behaviour {b.name}" for b in schema.behaviors}
            | {f"{f.level}_numeric_embedding": f"numbers of level {f.level}"
               for f in schema.scalar_features})


def _vocabulary_part(name: str) -> str | None:
    stage, _, rest = name.partition("/")
    return f"vocabulary {rest}" if stage in ("embedding", "wide") else None


def _by_task(weight: LabeledWeight, tasks: Sequence[str]) -> LabeledWeight:
    """AITM keeps the handovers of its later tasks in lists; each belongs to the task that takes."""
    found = re.match(r"network/(handovers|attentions)/(\d+)/(.*)", weight.name)
    if not found:
        return weight
    task = tasks[int(found[2]) + 1]
    return dataclasses.replace(
        weight, name=f"network/{found[1]}/{task}/{found[3]}", part=f"task {task}")
