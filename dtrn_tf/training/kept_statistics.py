"""Normalisation that stays what the weights know."""

from __future__ import annotations

import os

import numpy as np

from dtrn_tf.data.statistics import Moments, Statistics, load_statistics
from dtrn_tf.schema import NumericFeature, Schema, load_schema
from dtrn_tf.text_table import text_table


def kept_statistics(schema: Schema, statistics: Statistics,
                    source: str) -> tuple[Statistics, str]:
    """The statistics of a run that starts from another one.

    Mean and std are part of the function that the weights have learned, so those of the source stay
    for all features that it has in the same form. Base rates, which only new tasks start from, are
    those of the new records.

    Args:
        schema: Of the new run.
        statistics: Of its records.
        source: Directory of the run to start from.

    Returns:
        The statistics to use, and a table of those that the new records have otherwise; empty if
        there are none.
    """
    theirs = load_statistics(os.path.join(source, "statistics.json"))
    before = {f.name: f for f in load_schema(os.path.join(source, "schema.yaml")).numeric_features}
    kept = {f.name: theirs.numeric[f.name] for f in schema.numeric_features
            if f.name in theirs.numeric and _same_form(f, before.get(f.name))}
    rows = [[name, *_texts(moments), *_texts(statistics.numeric[name])]
            for name, moments in kept.items()
            if moments != statistics.numeric.get(name, moments)]
    table = text_table([["feature", "mean kept", "std kept", "mean now", "std now"], *rows])
    return (Statistics(numeric={**statistics.numeric, **kept}, base_rates=statistics.base_rates),
            table if rows else "")


def _same_form(feature: NumericFeature, before: NumericFeature | None) -> bool:
    return before is not None and (feature.transform, feature.size) == (
        before.transform, before.size)


def _texts(moments: Moments) -> list[str]:
    """Of a field of many numbers, the mean of each."""
    return [f"{float(np.mean(part)):.4g}" for part in moments]
