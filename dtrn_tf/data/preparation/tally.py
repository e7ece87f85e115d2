"""What is counted while records are written: ids, moments, labels, the best possible AUC."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.columns import MISSING_INTEGER, MISSING_STRING
from dtrn_tf.data.preparation.expected_auc import ExpectedAuc
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.rows import Rows, flat
from dtrn_tf.data.statistics import Moments, Statistics
from dtrn_tf.errors import DataError
from dtrn_tf.schema import Schema, Task

SPLITS = ("train", "valid", "test")


class Tally:
    """Counts shard by shard, in memory for the ids; vocabularies and moments of train only.

    Ids and numbers count as often as they stand in the records, so those of the user side once a
    request; labels count once a candidate. Tallies of different shards can be merged in any order
    with the same result: sums of floats are kept apart until the end, where they are added exactly.

    Args:
        schema: The records' schema, sizes not yet known.
        spec: Says how often an id must stand in train records.
    """

    def __init__(self, schema: Schema, spec: PrepareSpec) -> None:
        self._schema = schema
        self._min_counts: dict[str, int] = {}
        for feature in spec.features:
            name = feature.vocabulary_name
            self._min_counts[name] = max(self._min_counts.get(name, 1), feature.min_count)
        self._ids: dict[str, Counter[Any]] = {
            v.name: Counter() for v in schema.vocabularies if v.kind == "file"}
        self._moments: dict[str, list[tuple[float, ...]]] = {
            f.name: [] for f in schema.numeric_features}
        self._records: Counter[str] = Counter()
        self._rows: Counter[str] = Counter()
        self._empty_shards: Counter[str] = Counter()
        self._labels: dict[tuple[str, str], list[tuple[float, ...]]] = {
            (s, t.name): [] for s in SPLITS for t in schema.tasks}
        self._best: dict[str, ExpectedAuc] = {}

    def add(self, split: str, rows: Rows) -> None:
        """Counts the records of a split's shard."""
        self._records[split] += len(rows)
        self._empty_shards[split] += not len(rows)
        self._rows[split] += len(flat(rows.columns[self._schema.tasks[0].label]))
        for task in self._schema.tasks:
            labels = labels_of(task, rows)
            self._labels[split, task.name].append(
                (float(labels.sum(dtype=np.float64)), float(len(labels))))
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
            self._moments[feature.name].append(
                (float(len(values)), float(values.sum()), float(np.square(values).sum())))

    def merge(self, other: Tally) -> None:
        """Adds what was counted of other shards."""
        for name, counts in other._ids.items():
            self._ids[name].update(counts)
        for mine, theirs in ((self._records, other._records), (self._rows, other._rows),
                             (self._empty_shards, other._empty_shards)):
            mine.update(theirs)
        for name, sums in other._moments.items():
            self._moments[name] += sums
        for key, label_sums in other._labels.items():
            self._labels[key] += label_sums
        for task, auc in other._best.items():
            self._best.setdefault(task, ExpectedAuc()).merge(auc)

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
        for name, parts in self._moments.items():
            count, total, squares = _exact_sums(parts, 3)
            mean = total / max(count, 1.0)
            variance = max(squares / max(count, 1.0) - mean**2, 0.0)
            numeric[name] = Moments(float(mean), float(np.sqrt(variance)) or 1.0)
        return Statistics(numeric=numeric, base_rates={
            t.name: self._rate("train", t.name) or 0.0 for t in self._schema.tasks})

    def summary(self) -> dict[str, Any]:
        """Rows (impressions) and positive rates per split and task, also records if these are
        requests; the best possible test AUC if known."""
        summary: dict[str, Any] = {
            "rows": self._per_split(self._rows),
            "positive_rates": {
                s: {t.name: self._rate(s, t.name) for t in self._schema.tasks} for s in SPLITS},
        }
        if self._schema.layout == "request":
            summary["requests"] = self._per_split(self._records)
            summary["mean_candidates"] = {s: self._rows[s] / self._records[s] for s in SPLITS}
        if self._best:
            summary["bayes_auc"] = {name: auc.result() for name, auc in self._best.items()}
        return summary

    def check_no_split_is_empty(self) -> None:
        """Raises DataError if a split has no rows."""
        rows = self._per_split(self._rows)
        if not all(rows.values()):
            raise DataError(f"every split should have rows. Received: {rows}. Mend `splits` "
                            "in the prepare spec (the days are those of the log's time column).")

    def check_no_shard_is_empty(self) -> None:
        """A file without records looks like a lost one to every reader.

        Raises:
            DataError: A shard has no records in one of the splits.
        """
        if any(self._empty_shards.values()):
            raise DataError("every shard of every split should hold the records of some users. "
                            f"Received: {self._per_split(self._empty_shards)} shards without, for "
                            f"{self._per_split(self._records)} records. Give fewer --num_shards.")

    @staticmethod
    def _per_split(counts: Mapping[str, int]) -> dict[str, int]:
        return {split: counts[split] for split in SPLITS}

    def _rate(self, split: str, task: str) -> float | None:
        positives, observed = _exact_sums(self._labels[split, task], 2)
        return float(positives / observed) if observed else None


def _exact_sums(parts: list[tuple[float, ...]], size: int) -> list[float]:
    """Sums of tuples, whatever their order."""
    return [math.fsum(part[i] for part in parts) for i in range(size)]


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
