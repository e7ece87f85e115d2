"""What is counted while records are written: ids, moments, labels, the best possible AUC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.columns import MISSING_INTEGER, MISSING_STRING
from dtrn_tf.data.preparation.expected_auc import ExpectedAuc
from dtrn_tf.data.preparation.rows import Rows, flat
from dtrn_tf.data.statistics import Moments, Statistics
from dtrn_tf.errors import DataError
from dtrn_tf.schema import Schema, Task

SPLITS = ("train", "valid", "test")


class Tally:
    """Counts in constant memory (but for the ids); vocabularies and moments of train only.

    Ids and numbers count as often as they stand in the records, so those of the user side once a
    request; labels count once a candidate.

    Args:
        schema: The records' schema, sizes not yet known.
        min_counts: Per vocabulary, how often an id must stand in train records.
    """

    def __init__(self, schema: Schema, min_counts: Mapping[str, int]) -> None:
        self._schema = schema
        self._min_counts = min_counts
        self._ids: dict[str, Counter[Any]] = {
            v.name: Counter() for v in schema.vocabularies if v.kind == "file"}
        self._sums = {f.name: np.zeros(3) for f in schema.numeric_features}
        self._records = dict.fromkeys(SPLITS, 0)
        self._rows = dict.fromkeys(SPLITS, 0)
        self._labels = {(s, t.name): np.zeros(2) for s in SPLITS for t in schema.tasks}
        self._best: dict[str, ExpectedAuc] = {}

    def add(self, split: str, rows: Rows) -> None:
        """Counts some records of a split."""
        self._records[split] += len(rows)
        self._rows[split] += len(flat(rows.columns[self._schema.tasks[0].label]))
        for task in self._schema.tasks:
            labels = labels_of(task, rows)
            self._labels[split, task.name] += [labels.sum(), len(labels)]
        if split == "train":
            self._add_ids(rows)
            self._add_moments(rows)
        if split == "test":
            for name, probabilities in rows.true_probabilities.items():
                self._best.setdefault(name, ExpectedAuc()).add(probabilities)

    def _add_ids(self, rows: Rows) -> None:
        for feature in self._schema.id_features:
            if feature.vocabulary in self._ids:
                counts = pd.Series(flat(rows.columns[feature.name])).value_counts()
                self._ids[feature.vocabulary].update(dict(zip(counts.index.tolist(),
                                                              counts.tolist())))

    def _add_moments(self, rows: Rows) -> None:
        for feature in self._schema.numeric_features:
            column = flat(rows.columns[feature.name])
            values = column[np.isfinite(column)].astype(np.float64)
            if feature.transform == "log1p":
                values = np.sign(values) * np.log1p(np.abs(values))
            self._sums[feature.name] += [len(values), values.sum(), np.square(values).sum()]

    def vocabularies(self) -> dict[str, list[Any]]:
        """Ids per vocabulary file, the most frequent first.

        Raises:
            DataError: No id of a vocabulary is frequent enough.
        """
        result = {}
        for name, counts in self._ids.items():
            least = self._min_counts.get(name, 1)
            kept = [(-n, value) for value, n in counts.items()
                    if n >= least and value not in (MISSING_INTEGER, MISSING_STRING)]
            if not kept:
                raise DataError(f"vocabulary {name!r} should hold an id that stands at least "
                                f"{least} times in the train split. Received: none. Lower "
                                "`min_count` or drop the feature.")
            result[name] = [value for _, value in sorted(kept)]
        return result

    def statistics(self) -> Statistics:
        """Moments and base rates of the train split."""
        numeric = {}
        for name, (count, total, squares) in self._sums.items():
            mean = total / max(count, 1.0)
            variance = max(squares / max(count, 1.0) - mean**2, 0.0)
            numeric[name] = Moments(float(mean), float(np.sqrt(variance)) or 1.0)
        return Statistics(numeric=numeric, base_rates={
            t.name: self._rate("train", t.name) or 0.0 for t in self._schema.tasks})

    def summary(self) -> dict[str, Any]:
        """Rows (impressions) and positive rates per split and task, also records if these are
        requests; the best possible test AUC if known."""
        summary: dict[str, Any] = {
            "rows": dict(self._rows),
            "positive_rates": {
                s: {t.name: self._rate(s, t.name) for t in self._schema.tasks} for s in SPLITS},
        }
        if self._schema.layout == "request":
            summary["requests"] = dict(self._records)
            summary["mean_candidates"] = {s: self._rows[s] / self._records[s] for s in SPLITS}
        if self._best:
            summary["bayes_auc"] = {name: auc.result() for name, auc in self._best.items()}
        return summary

    def check_no_split_is_empty(self) -> None:
        """Raises DataError if a split has no rows."""
        empty = [split for split, rows in self._rows.items() if not rows]
        if empty:
            raise DataError(f"every split should have rows. Received: {self._rows}. Mend `splits` "
                            "in the prepare spec (the days are those of the log's time column).")

    def _rate(self, split: str, task: str) -> float | None:
        positives, observed = self._labels[split, task]
        return float(positives / observed) if observed else None


def labels_of(task: Task, rows: Rows) -> np.ndarray:
    """The observed labels of a task, as the schema's label rule makes them."""
    values = flat(rows.columns[task.label])
    if task.mask:
        values = values[flat(rows.columns[task.mask]) != 0]
    if task.at_least is not None:
        return values >= task.at_least
    if task.one_of is not None:
        return np.isin(values, task.one_of)
    return values
