"""Whether a model is good enough to be published: its AUC per task, and the present one's."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dtrn_tf.data.bad_records import BadRecordLimit
from dtrn_tf.data.reader import list_shards
from dtrn_tf.data.shards import Shards, check_shards
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema
from dtrn_tf.text_table import text_table
from export.served_auc import served_auc
from export.versions import version_numbers


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a model must reach; an AUC that is not defined reaches nothing.

    Args:
        min_auc: The least AUC of tasks.
        max_auc_drop: How far the AUC of a task may lie below that of the present version, on the
            same records; None: the present version does not matter.

    >>> Gate(min_auc={"click": 0.7}).failures({"click": 0.65}, None)
    ['click: AUC should be at least 0.7. Received: 0.6500.']
    >>> Gate(max_auc_drop=0.01).failures({"click": 0.65}, {"click": 0.655})
    []
    """

    min_auc: Mapping[str, float] = field(default_factory=dict)
    max_auc_drop: float | None = None
    split: str = "test"

    @property
    def is_open(self) -> bool:
        """Whether everything may pass."""
        return not self.min_auc and self.max_auc_drop is None

    def records(self, schema: Schema, data_dir: str | None,
                max_bad_records: int = 0) -> Shards | None:
        """What AUC is measured on, after a check of gate and files; nothing if all may pass.

        Raises:
            UserError: The gate names a task that is not there or has no AUC, or it has no records.
        """
        if self.is_open:
            return None
        binary = [task.name for task in schema.tasks if task.kind == "binary"]
        unknown = sorted(set(self.min_auc) - set(binary))
        if unknown:
            raise UserError(f"--min_auc should name binary tasks of {binary}. Received: {unknown}.")
        if data_dir is None:
            raise UserError("--min_auc and --max_auc_drop should come with --data_dir, whose "
                            f"{self.split} records they are measured on. Received: no --data_dir.")
        return split_records(schema, data_dir, self.split, max_bad_records)

    def pass_or_fail(self, saved_model: str, directory: str, schema: Schema,
                     records: Shards) -> str:
        """Measures a model, and the present version if its AUC matters.

        Args:
            saved_model: The model that asks to be published.
            directory: Where the versions lie.
            schema: Of the records.
            records: What AUC is measured on.

        Returns:
            The table of what was measured, for people.

        Raises:
            UserError: The model may not pass; the message holds the table.
        """
        present = None if self.max_auc_drop is None else present_version(directory)
        new_auc, *others = served_auc(
            [saved_model, *([present] if present else [])], schema, records)
        present_auc = others[0] if others else None
        where = f"{records.num_records:,} {self.split} records"
        beside = f", present version {os.path.basename(present)}" if present else ""
        table = f"AUC on {where}{beside}:\n{gate_table(new_auc, present_auc)}"
        failures = self.failures(new_auc, present_auc)
        if failures:
            raise UserError("the model should pass the gate. "
                            f"{' '.join(failures)} Nothing was exported.\n{table}")
        return table

    def failures(self, new: Mapping[str, float], present: Mapping[str, float] | None) -> list[str]:
        """What the new model does not reach, one line each.

        Args:
            new: AUC per task of the model.
            present: AUC per task of the present version, None without one; tasks that it does not
                have are not compared.
        """
        found = [f"{task}: AUC should be at least {least:g}. Received: {_cell(new[task])}."
                 for task, least in self.min_auc.items() if not new[task] >= least]
        if present is None or self.max_auc_drop is None:
            return found
        return found + [
            f"{task}: AUC should be at most {self.max_auc_drop:g} below that of the present "
            f"version, {_cell(present[task])}. Received: {_cell(auc)}."
            for task, auc in new.items()
            if task in present and not present[task] - auc <= self.max_auc_drop]


def split_records(schema: Schema, data_dir: str, split: str, max_bad_records: int) -> Shards:
    """The checked files of a split.

    Raises:
        DataError: They are not there, or hold more bad records than that.
    """
    limit = BadRecordLimit(max_bad_records)
    return check_shards(list_shards(data_dir, split), schema, limit)


def min_auc_of_flags(texts: Sequence[str]) -> dict[str, float]:
    """The least AUC per task, of flags `TASK=AUC`.

    Raises:
        UserError: A text is no such thing, or a task comes twice.

    >>> min_auc_of_flags(["click=0.7", "like=0.8"])
    {'click': 0.7, 'like': 0.8}
    """
    least: dict[str, float] = {}
    for text in texts:
        task, _, number = text.partition("=")
        try:
            auc = float(number)
        except ValueError:
            auc = math.nan
        if not task or not 0.0 <= auc <= 1.0 or task in least:
            raise UserError("--min_auc should be TASK=AUC with an AUC in [0, 1], each task once. "
                            f"Received: {list(texts)}.")
        least[task] = auc
    return least


def present_version(directory: str) -> str | None:
    """The path of the highest version, which servers use by default, or None."""
    numbers = version_numbers(directory)
    return os.path.join(directory, str(numbers[-1])) if numbers else None


def gate_table(new: Mapping[str, float], present: Mapping[str, float] | None) -> str:
    """AUC of the model and of the present version, one line a task.

    >>> print(gate_table({"click": 0.75, "buy": float("nan")}, {"click": 0.76}))
    task     new AUC  present AUC  difference
    click     0.7500       0.7600     -0.0100
    buy    undefined         none
    """
    rows = [["task", "new AUC", "present AUC", "difference"]]
    for task, auc in new.items():
        before = (present or {}).get(task)
        rows.append([task, _cell(auc), "none" if before is None else _cell(before),
                     "" if before is None else _difference(auc - before)])
    return text_table(rows)


def _cell(auc: float) -> str:
    return "undefined" if math.isnan(auc) else f"{auc:.4f}"


def _difference(difference: float) -> str:
    return "undefined" if math.isnan(difference) else f"{difference:+.4f}"
