"""Rows of tables as examples of TFDS: whole numbers and text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds

from dtrn_tf.data.preparation.columns import to_ids
from dtrn_tf.data.preparation.source import Part


def features(types: Mapping[str, type]) -> tfds.features.FeaturesDict:
    """Features of a row.

    Args:
        types: Per column `int` or `str`. Where the value is missing, the smallest int64 or no text.
    """
    return tfds.features.FeaturesDict({
        name: tfds.features.Text() if kind is str else np.int64 for name, kind in types.items()})


def examples(
    parts: Iterable[Part], described: tfds.features.FeaturesDict
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every row as a numbered example.

    Args:
        parts: Of the table.
        described: What `features` makes of its columns.

    Raises:
        DataError: A column of whole numbers holds others.
    """
    number = 0
    for part in parts:
        for table in part():
            columns = [_values(table[name], isinstance(kind, tfds.features.Text))
                       for name, kind in described.items()]
            for values in zip(*columns):
                yield number, dict(zip(described, values))
                number += 1


def _values(column: pd.Series, is_text: bool) -> list[Any]:
    if is_text and pd.api.types.is_numeric_dtype(column):  # Text that looks like numbers.
        column = column.astype("Int64").astype("string")
    return to_ids(column, f"column {column.name!r}").tolist()
