"""Table columns as the plain arrays that records hold: ids, buckets, hours, numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.buckets import log_bucket
from dtrn_tf.data.preparation.history import UNKNOWN_TIME
from dtrn_tf.data.preparation.prepare_spec import Columns, Feature
from dtrn_tf.errors import DataError

# Ids that stand for "no value": never in a vocabulary, so they become out of vocabulary.
MISSING_INTEGER = np.iinfo(np.int64).min
MISSING_STRING = ""
_MILLISECONDS = {"s": 1000, "ms": 1}
_HOUR_MS = 3_600_000


def to_ids(column: pd.Series, where: str) -> np.ndarray:
    """Integers as int64, anything else as strings; missing values as the missing id.

    Raises:
        DataError: A number that is no whole number.

    >>> to_ids(pd.Series([3.0, None]), "column `tab`")[0].item()
    3
    """
    if not pd.api.types.is_numeric_dtype(column):
        return column.map(_text, na_action="ignore").fillna(MISSING_STRING).to_numpy(object)
    if not pd.api.types.is_float_dtype(column):
        return column.to_numpy(np.int64)
    values = column.to_numpy(np.float64)
    known = np.isfinite(values)
    whole = np.where(known, values, 0.0)
    if np.any(whole != np.floor(whole)):
        example = whole[whole != np.floor(whole)][0]
        raise DataError(f"{where} should hold whole numbers or text, as ids do. Received: "
                        f"{example}. Use kind log_bucket or numeric in the prepare spec.")
    return np.where(known, whole.astype(np.int64), MISSING_INTEGER)


def to_milliseconds(column: pd.Series, columns: Columns) -> np.ndarray:
    """Times as int64 milliseconds.

    Raises:
        DataError: The column holds no whole numbers, or misses some.
    """
    if not pd.api.types.is_integer_dtype(column):
        raise DataError(f"time column {columns.time!r} should hold whole numbers in "
                        f"{columns.time_unit}, none missing. Received: {column.dtype} like "
                        f"{column.head(1).tolist()}. Convert it before prepare.")
    return column.to_numpy(np.int64) * _MILLISECONDS[columns.time_unit]


def to_numbers(column: pd.Series, dtype: str) -> np.ndarray:
    """A label or mask column in the type of the schema.

    Raises:
        DataError: The column holds text, or misses values.
    """
    if not (pd.api.types.is_numeric_dtype(column) and column.notna().all()):
        raise DataError(f"label or feedback column {column.name!r} should hold numbers, none "
                        f"missing. Received: {column.dtype}, {int(column.isna().sum())} missing. "
                        "Mend the table.")
    return column.to_numpy(np.dtype(dtype))


def key_ids(table: pd.DataFrame, key: str, name: str) -> np.ndarray:
    """The ids of a key column, none of which may be missing.

    Raises:
        DataError: An id is missing.
    """
    where = f"column {key!r} of table `{name}`"
    if table[key].isna().any():
        raise DataError(f"{where} should have an id in every row. Received: "
                        f"{int(table[key].isna().sum())} rows without. Remove or mend them.")
    return to_ids(table[key], where)


def any_positive(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Whether any of the columns is > 0; always true of no columns."""
    if not names:
        return np.ones(len(table), bool)
    return np.any([to_numbers(table[name], "float64") > 0 for name in names], axis=0)


def encode(column: pd.Series, feature: Feature) -> np.ndarray:
    """A column as the values of a feature: int64 ids, object strings or float32 numbers."""
    where = f"column {feature.column!r} of feature {feature.name!r}"
    if feature.first_of_list:
        if pd.api.types.is_numeric_dtype(column):  # A CSV column in which no list has two entries.
            column = column.astype("Int64").astype("string")
        return to_ids(column.str.split(",").str[0].str.strip(), where)
    if feature.kind in ("log_bucket", "numeric"):
        numbers = _floats(column, where)
        if feature.kind == "numeric":
            return numbers.astype(np.float32)
        return log_bucket(numbers, feature.resolution, int(feature.size or 0))
    return to_ids(column, where)


def local_hours(times_ms: np.ndarray, columns: Columns) -> np.ndarray:
    """Hour of the local day, 0..23; missing where the time is unknown.

    >>> local_hours(np.array([0, 3_600_000]), Columns(utc_offset_hours=5.5)).tolist()
    [5, 6]
    """
    known = times_ms != UNKNOWN_TIME
    hours = _since_1970(np.where(known, times_ms, 0), columns) // _HOUR_MS
    return np.where(known, hours % 24, MISSING_INTEGER)


def local_days(times_ms: np.ndarray, columns: Columns) -> np.ndarray:
    """Days from 1970-01-01 to the local day.

    >>> local_days(np.array([0, 57_600_000]), Columns(utc_offset_hours=8)).tolist()
    [0, 1]
    """
    return _since_1970(times_ms, columns) // (24 * _HOUR_MS)


def _since_1970(times_ms: np.ndarray, columns: Columns) -> np.ndarray:
    return times_ms + round(columns.utc_offset_hours * _HOUR_MS)


def with_missing(encoded: np.ndarray, feature: Feature) -> np.ndarray:
    """Appends the missing value, so that index -1 finds it."""
    if feature.kind == "numeric":
        return np.append(encoded, np.float32("nan"))
    missing = MISSING_STRING if encoded.dtype == object else MISSING_INTEGER
    return np.concatenate([encoded, np.array([missing], encoded.dtype)])


def lookup(keys: np.ndarray, wanted: np.ndarray, where: str) -> np.ndarray:
    """Positions of the wanted ids in a key column, -1 where absent.

    Raises:
        DataError: A key stands there twice, or keys are numbers and the wanted ids text.
    """
    if keys.dtype != wanted.dtype:
        raise DataError(f"{where} should hold ids of the same type as interactions. Received: "
                        f"{keys[:1].tolist()} and {wanted[:1].tolist()}. Convert one of them.")
    index = pd.Index(keys)
    if not index.is_unique:
        raise DataError(f"{where} should hold every id once. Received twice: "
                        f"{index[index.duplicated()][:1].tolist()}. Remove duplicate rows.")
    return index.get_indexer(pd.Index(wanted))


def _text(value: object) -> str:
    # Dates become text as in the file; a CSV reader may have parsed them.
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _floats(column: pd.Series, where: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(f"{where} should hold numbers. Received: {column.dtype}. Use kind ids or "
                        "hash in the prepare spec.")
    return column.to_numpy(np.float64)
