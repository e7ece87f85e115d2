"""What was seen of one feature of the records."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dtrn_tf.data.profiling.columns import Column
from dtrn_tf.data.profiling.element_moments import ElementMoments
from dtrn_tf.data.profiling.list_steps import ListSteps
from dtrn_tf.data.profiling.number_sketch import NumberSketch
from dtrn_tf.data.profiling.value_counts import MAX_VALUES, ValueCounts
from dtrn_tf.data.statistics import Moments

# Floats with more values than this are measurements; which ones occurred says nothing then.
_MAX_FLOAT_VALUES = 100
# Longer lists are counted with this length: lengths stay few.
_MAX_LENGTH = 100_000


class FeatureProfile:
    """Presence, lengths, values and numbers of one feature; those of several files merge.

    `values`, `numbers` and `lengths` are of the records in which the feature has its main kind,
    the most frequent one.

    Args:
        max_values: How many different values are counted exactly.
    """

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self.kinds: Counter[str] = Counter()  # Records by kind.
        self._of_kind: dict[str, _KindProfile] = {}

    def add(self, kind: str, column: Column, record_keys: np.ndarray) -> None:
        """Adds a column; `record_keys` uint64 [rows of the column] tell records apart."""
        self.kinds[kind] += len(column.rows)
        self._kind(kind).add(column, record_keys)

    def merge(self, other: FeatureProfile) -> None:
        """Adds what another profile has seen."""
        self.kinds.update(other.kinds)
        for kind, profile in other._of_kind.items():
            self._kind(kind).merge(profile)

    @property
    def kind(self) -> str:
        """The main kind; `none` only if no record has anything else."""
        return max(self.kinds, key=lambda kind: (kind != "none", self.kinds[kind], kind))

    @property
    def present(self) -> int:
        """How many records hold the feature, whatever its kind."""
        return sum(self.kinds.values())

    @property
    def lengths(self) -> Counter[int]:
        """Records by number of values."""
        return self._of_kind[self.kind].lengths

    @property
    def max_length(self) -> int:
        return max(self.lengths, default=0)

    @property
    def alignment(self) -> int:
        """Equal for features that have the same number of values in every record."""
        return self._of_kind[self.kind].alignment

    @property
    def values(self) -> ValueCounts:
        return self._of_kind[self.kind].values

    @property
    def numbers(self) -> NumberSketch:
        """Of int64 and float32; empty for strings."""
        return self._of_kind[self.kind].numbers

    @property
    def trend(self) -> int:
        """1 if numbers rise along the lists, -1 if they fall, else 0."""
        return self._of_kind[self.kind].steps.trend

    @property
    def elements(self) -> ElementMoments | None:
        """Of every number of a list, if all lists have one length."""
        return self._of_kind[self.kind].elements

    def moments(self, transform: str) -> Moments | None:
        """Mean and std after a transform: of every element if all lists have one length, else of
        all numbers in one; None for strings."""
        of_kind = self._of_kind[self.kind]
        elements = of_kind.elements.moments(transform) if of_kind.elements else None
        return elements or of_kind.all_numbers.moments(transform)

    def _kind(self, kind: str) -> _KindProfile:
        return self._of_kind.setdefault(kind, _KindProfile(kind, self._max_values))


class _KindProfile:
    def __init__(self, kind: str, max_values: int) -> None:
        self._is_float, self._is_number = kind == "float32", kind in ("float32", "int64")
        self.lengths: Counter[int] = Counter()
        self.alignment = 0
        self.values = ValueCounts(_MAX_FLOAT_VALUES if self._is_float else max_values)
        self.numbers = NumberSketch()
        self.all_numbers = ElementMoments()
        self.steps = ListSteps()
        self.elements: ElementMoments | None = ElementMoments()

    def add(self, column: Column, record_keys: np.ndarray) -> None:
        lengths, counts = np.unique(np.minimum(column.lengths, _MAX_LENGTH), return_counts=True)
        self.lengths.update(dict(zip(lengths.tolist(), counts.tolist())))
        products = record_keys * column.lengths.astype(np.uint64)  # Modulo 2^64, as the sum.
        self.alignment = (self.alignment + int(products.sum(dtype=np.uint64))) % 2**64
        finite = column.values
        if self._is_number:
            self._add_numbers(column.values)
            self.steps.add(column.values, column.lengths)
            finite = column.values[np.isfinite(column.values)]
        if not (self._is_float and self.values.is_capped):
            self.values.add(finite)

    def _add_numbers(self, values: np.ndarray) -> None:
        self.numbers.add(values)
        self.all_numbers.add(values[:, np.newaxis])
        if not self._has_one_length:
            self.elements = None
        elif self.elements and (length := max(self.lengths)) > 1:
            self.elements.add(values.reshape(-1, length))

    def merge(self, other: _KindProfile) -> None:
        self.lengths.update(other.lengths)
        self.alignment = (self.alignment + other.alignment) % 2**64
        self.values.merge(other.values)
        self.numbers.merge(other.numbers)
        self.all_numbers.merge(other.all_numbers)
        self.steps.merge(other.steps)
        if self.elements and other.elements and self._has_one_length:
            self.elements.merge(other.elements)
        else:
            self.elements = None

    @property
    def _has_one_length(self) -> bool:
        return len(self.lengths) == 1
