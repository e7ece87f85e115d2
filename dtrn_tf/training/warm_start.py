"""A new run begins with what another one has learned."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.data.table_rows import table_rows
from dtrn_tf.errors import UserError
from dtrn_tf.models.labeled_weights import LabeledWeight, labeled_weights
from dtrn_tf.schema import Schema
from dtrn_tf.text_table import text_table
from dtrn_tf.training.carry import carry
from dtrn_tf.training.freezing import matching

Pairs = dict[str, tuple[LabeledWeight, LabeledWeight]]


class WarmStart:
    """Takes the best model of another run over, by the names of ids, tasks, fields and behaviours.

    Rows of ids that both vocabularies have, parts of tasks that both models have, and so on, are
    copied, whatever their order; what is new keeps its fresh values; what only the source has is
    dropped.

    Args:
        source: The directory of the other run.
        fresh: Patterns of names of weights that are not taken over.
        start_tasks: For new tasks, the task of the source whose weights they start with.

    Raises:
        UserError: The directory has no model.
    """

    def __init__(self, source: str, fresh: Sequence[str] = (),
                 start_tasks: Mapping[str, str] | None = None) -> None:
        check_run(source)
        self.source = source
        self.model = tf.keras.models.load_model(
            os.path.join(source, "best", "model.keras"), compile=False)
        self._fresh = fresh
        self._start_tasks = start_tasks or {}
        self._rows: list[list[str]] = []
        self._num_whole = 0

    def apply(self, model: Any, directory: str) -> Pairs:
        """Copies everything that can be copied.

        Args:
            model: Built; the weights of the new run.
            directory: Holds the vocabularies of the new run.

        Returns:
            By name, every weight that was copied, at least in part, and where it came from.

        Raises:
            UserError: A weight does not fit, or a task is unknown; nothing was copied.
        """
        self._check_tasks(model.schema)
        ours = labeled_weights(
            model, table_rows(model.schema, directory),
            [self._start_tasks.get(name, name) for name in model.schema.task_names])
        theirs = {weight.name: weight for weight in labeled_weights(
            self.model, table_rows(self.model.schema, self.source)).values()}
        pairs = self._pairs(ours, theirs)
        values = {name: _carried(name, *pair) for name, pair in pairs.items()}
        for name, value in values.items():
            ours[name].weight.assign(value)
        return pairs

    def table(self) -> str:
        """What was not carried over whole; after `apply`."""
        lines = [f"warm start from {self.source}: {self._num_whole} weights are carried over whole"]
        lines += [f"task {new} starts from task {task}" for new, task in self._start_tasks.items()]
        if self._rows:
            lines += ["in part or not at all:", "", text_table(
                [["weight", "shape", "shape there", "what"], *self._rows]), ""]
        return "\n".join(lines)

    def _pairs(self, ours: Mapping[str, LabeledWeight],
               theirs: Mapping[str, LabeledWeight]) -> Pairs:
        known_parts = {weight.part for weight in theirs.values()} - {None}
        fresh = matching(list(ours), self._fresh, "warm_start_fresh")
        pairs: Pairs = {}
        for name, weight in ours.items():
            source = theirs.get(weight.name)
            if name in fresh:
                self._row(name, weight, source, "fresh, as --warm_start_fresh says")
            elif source is not None:
                pairs[name] = weight, source
                changes = [axis.difference(other) for axis, other in zip(weight.axes, source.axes)
                           if axis and other]
                self._row(name, weight, source, "; ".join(filter(None, changes)))
            elif weight.part is None or weight.part in known_parts:
                raise UserError(
                    f"--warm_start: {name}, of shape {_shape(weight)}, should have a weight of the "
                    f"same name in {self.source}. Received: none. {_remedy(name)}")
            else:
                self._row(name, weight, None, f"new: {weight.part}")
        taken = {source.name for _, source in pairs.values()}
        for name in theirs.keys() - taken - {weight.name for weight in ours.values()}:
            self._row(name, None, theirs[name], "dropped")
        return pairs

    def _row(self, name: str, here: LabeledWeight | None, there: LabeledWeight | None,
             what: str) -> None:
        if what:
            self._rows.append([name, _shape(here), _shape(there), what])
        else:
            self._num_whole += 1

    def _check_tasks(self, schema: Schema) -> None:
        kinds = {task.name: task.kind for task in self.model.schema.tasks}
        new = [task.name for task in schema.tasks if task.name not in kinds]
        for name, start in self._start_tasks.items():
            if name not in new or start not in kinds:
                raise UserError(
                    "--warm_start_task should be pairs NEW:FROM, a task that is new here and one "
                    f"of {self.source}. Received: {name}:{start}; new: {', '.join(new) or 'none'}; "
                    f"tasks there: {', '.join(kinds)}.")
        for task in schema.tasks:
            start = self._start_tasks.get(task.name, task.name)
            if kinds.get(start, task.kind) != task.kind:
                raise UserError(
                    f"--warm_start: task {task.name!r} should be of the kind of task {start!r} in "
                    f"{self.source}: {kinds[start]}. Received: {task.kind}. Remedy: give it "
                    "another name, so that it starts anew.")


def check_run(source: str) -> None:
    """Raises UserError if the directory has no model to start from."""
    if not os.path.exists(os.path.join(source, "best", "model.keras")):
        raise UserError("--warm_start should be a directory that pipelines.train wrote, with "
                        f"best/model.keras in it. Received: {source!r}.")


def _carried(name: str, here: LabeledWeight, there: LabeledWeight) -> np.ndarray:
    try:
        _check_rows(here, there)
        return carry(here.weight, there.weight, here.axes, there.axes)
    except ValueError as error:
        raise UserError(f"--warm_start: {name} should fit the weight of the run to start from. "
                        f"Received: shape {_shape(here)} here, {_shape(there)} there ({error}). "
                        f"{_remedy(name)}") from error


def _check_rows(here: LabeledWeight, there: LabeledWeight) -> None:
    """Buckets of another kind or number have nothing in common."""
    axis, other = (weight.axes[0] if weight.axes else None for weight in (here, there))
    if axis and other and axis.kind == other.kind == "id":
        forms = [{name[:2] if isinstance(name, tuple) else "ids" for name in a.names[2:]}
                 for a in (axis, other)]
        if forms[0] != forms[1]:
            raise ValueError(f"rows stand for {_rows_text(forms[0])} and {_rows_text(forms[1])}")


def _rows_text(forms: set[Any]) -> str:
    form = next(iter(forms))
    return "ids" if form == "ids" else f"{form[0]} buckets of {form[1]}"


def _remedy(name: str) -> str:
    stage, _, rest = name.partition("/")
    pattern = f"*/{rest}" if stage in ("embedding", "wide") else f"{stage}/*"
    return ("Remedy: give the model flags and the schema of that run, or leave such weights fresh: "
            f"--warm_start_fresh={pattern}.")


def _shape(weight: LabeledWeight | None) -> str:
    return "" if weight is None else "x".join(map(str, weight.weight.shape))
