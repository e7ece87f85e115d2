"""Requests of plain dicts as the inputs of a signature; needs no TensorFlow."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtrn_tf.errors import UserError
from dtrn_tf.schema import CategoricalFeature, NumericFeature, Schema

Features = Mapping[str, Any]
_MAX_INT64 = 2 ** 63 - 1
_KINDS = {"int64": "a 64-bit integer", "float32": "a number", "string": "a string"}


@dataclass(frozen=True)
class Column:
    """One input of a signature: rows [B] of values, or lists of equal length [B, L].

    Args:
        dtype: `int64`, `float32` or `string`.
        rows: Its values.
    """

    dtype: str
    rows: list[Any]


@dataclass(frozen=True)
class _Feature:
    """How a dict holds a feature: one value, `size` values, or a list of any length (None)."""

    name: str
    dtype: str
    size: int | None = 1
    default: Any = None
    length_name: str = ""

    def value(self, features: Features, where: str) -> Any:
        """The value of a dict, checked.

        Raises:
            UserError: It is missing, of the wrong type or not as many values as it should be.
        """
        if self.name not in features:
            if self.default is None:
                raise UserError(f"{where} should hold feature {self.name!r}, {self._expected}. "
                                f"Received: only {sorted(features)}.")
            return self.default
        given = features[self.name]
        given = given.tolist() if hasattr(given, "tolist") else given  # NumPy's
        values = [given] if self.size == 1 else given
        if (not isinstance(values, (list, tuple)) or self.size not in (None, len(values))
                or not all(map(_CHECKS[self.dtype], values))):
            raise UserError(f"feature {self.name!r} of {where} should be {self._expected}. "
                            f"Received: {given!r:.100}.")
        values = [_CASTS[self.dtype](value) for value in values]
        return values[0] if self.size == 1 else values

    @property
    def _expected(self) -> str:
        kind = _KINDS[self.dtype]
        return kind if self.size == 1 else (
            f"a list of {f'{self.size} ' if self.size else ''}{kind.split()[-1]}s")

    def columns(self, values: list[Any]) -> dict[str, Column]:
        """Of the values of all rows, its input, and the lengths of lists beside it."""
        if self.size is not None:
            return {self.name: Column(self.dtype, values)}
        lengths = [len(value) for value in values]
        width = max([1, *lengths])  # An array without a value has no type in JSON.
        padding = "" if self.dtype == "string" else 0
        padded = [value + [padding] * (width - len(value)) for value in values]
        return {self.name: Column(self.dtype, padded), self.length_name: Column("int64", lengths)}


def request_inputs(schema: Schema, user: Features, candidates: Sequence[Features], *,
                   repeat_user: bool = False) -> dict[str, Column]:
    """One user with many candidates; the user's side has one row, so that it is computed once.

    Args:
        schema: Of the model, as it lies in the version's `assets.extra`.
        user: The features of level request and the sequences, by their names of the schema. Lists
            are as long as they are. What has a default or is optional may be left out.
        candidates: For each the features of level candidate.
        repeat_user: Give the user's side a row for every candidate, as servers that merge
            requests (batching) need it.

    Returns:
        The inputs of every signature but `examples`.

    Raises:
        UserError: There are no candidates; a feature is missing, unknown or of the wrong type.
    """
    if not candidates:
        raise UserError("`candidates` should hold at least one candidate. Received: none.")
    of_user, of_candidates = (_features(schema, level) for level in ("request", "candidate"))
    users = [user] * (len(candidates) if repeat_user else 1)
    return {**_columns(of_user, users[:1], lambda _: "the user", len(users)),
            **_columns(of_candidates, candidates, lambda row: f"candidate {row}")}


def row_inputs(schema: Schema, rows: Sequence[Features]) -> dict[str, Column]:
    """Rows that have nothing in common: each holds the features of a user and of a candidate.

    Args:
        schema: Of the model, as it lies in the version's `assets.extra`.
        rows: As `request_inputs` has them, user and candidate in one dict.

    Returns:
        The inputs of every signature but `examples`.

    Raises:
        UserError: There are no rows; a feature is missing, unknown or of the wrong type.
    """
    if not rows:
        raise UserError("`rows` should hold at least one row. Received: none.")
    features = [*_features(schema, "request"), *_features(schema, "candidate")]
    return _columns(features, rows, lambda row: f"row {row}")


def _columns(features: Sequence[_Feature], rows: Sequence[Features], where: Callable[[int], str],
             repeat: int = 1) -> dict[str, Column]:
    known = [feature.name for feature in features]
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UserError(f"{where(number)} should be a dict of features. Received: {row!r:.100}")
        unknown = sorted(map(str, set(row) - set(known)))
        if unknown:
            raise UserError(f"{where(number)} should hold features of {known} and nothing else. "
                            f"Received too: {unknown}.")
    columns: dict[str, Column] = {}
    for feature in features:
        values = [feature.value(row, where(number)) for number, row in enumerate(rows)]
        for name, column in feature.columns(values * repeat).items():
            _check_lengths(name, columns.setdefault(name, column), column, where)
    return columns


def _check_lengths(name: str, first: Column, column: Column, where: Callable[[int], str]) -> None:
    """Lists that share an input for their length, such as items and authors, are equally long."""
    for row, (expected, length) in enumerate(zip(first.rows, column.rows)):
        if expected != length:
            raise UserError(f"the lists that {name!r} counts should be of equal length in "
                            f"{where(row)}. Received lengths: {expected} and {length}.")


def _features(schema: Schema, level: str) -> list[_Feature]:
    """The features of one level, in the order of the schema; sequences belong to the request."""
    # Types and names as `dense_inputs` has them, which needs TensorFlow; a test holds both equal.
    features = [feature for f in schema.features if f.level == level
                for feature in _of_feature(schema, f)]
    if level == "request":
        features += [
            _Feature(f.name, schema.time.dtype if f.gap and schema.time
                     else schema.vocabulary(f.vocabulary).dtype, None,
                     [] if b.optional else None, b.length_name)
            for b in schema.behaviors for f in b.features]
        if schema.time:
            features.append(_Feature(schema.time.name, schema.time.dtype))
    return features


def _of_feature(schema: Schema, f: CategoricalFeature | NumericFeature) -> list[_Feature]:
    if isinstance(f, NumericFeature):
        default = f.default if f.default is None or f.size == 1 else [f.default] * f.size
        return [_Feature(f.name, f.dtype, f.size, default)]
    dtype = schema.vocabulary(f.vocabulary).dtype
    if not f.multiple:
        return [_Feature(f.name, dtype, 1, f.default)]
    default = [] if f.optional else None
    ids = _Feature(f.name, dtype, None, default, f.length_name)
    weights = _Feature(f.weights_name, "float32", None, default, f.length_name)
    return [ids, weights] if f.weights else [ids]


def _is_int64(value: Any) -> bool:
    return (type(value) is not bool and isinstance(value, numbers.Integral)
            and -_MAX_INT64 - 1 <= int(value) <= _MAX_INT64)


def _is_number(value: Any) -> bool:
    return type(value) is not bool and isinstance(value, numbers.Real)


def _is_string(value: Any) -> bool:
    return isinstance(value, (str, bytes))


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int64": _is_int64, "float32": _is_number, "string": _is_string}
# Numbers of NumPy to those of Python, which JSON knows.
_CASTS: dict[str, Callable[[Any], Any]] = {"int64": int, "float32": float, "string": lambda x: x}
