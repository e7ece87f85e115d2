"""Files of records that give the batches of the reference point."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from benchmarks.reference_point import ReferencePoint, make_batch, make_schema
from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preparation.record_writer import shard_path, write_records
from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.schema import NUM_RESERVED_IDS, Schema

# What is not here stays an identity. The sequences take the two that cost most, a file of integers
# and integers that are hashed.
_KINDS: dict[str, dict[str, Any]] = {
    "item": {"kind": "file", "file": "vocabularies/item.txt"},
    "category": {"kind": "hash"},
    "author": {"kind": "hash"},
    "city": {"kind": "hash", "dtype": "string"},
}
_SHARDS = 4


def record_schema(point: ReferencePoint, layout: str) -> Schema:
    """The schema of a point with raw ids of all kinds, as logs have them; tables as large.

    >>> [v.kind for v in record_schema(ReferencePoint(), "request").vocabularies][:3]
    ['file', 'hash', 'hash']
    """
    schema = make_schema(point)
    return replace(schema, layout=layout, vocabularies=tuple(
        replace(v, **_KINDS.get(v.name, {})) for v in schema.vocabularies))


def write_reference_records(
    directory: str, point: ReferencePoint, num_batches: int, candidates: int = 1
) -> Schema:
    """Writes the records of some batches, plain and compressed.

    Args:
        directory: Gets the splits `plain` and `gzip`, both with the same records, vocabularies and
            statistics.
        point: Sizes.
        num_batches: How many batches of the point to write.
        candidates: Candidates of a request; with 1, records are impressions.

    Returns:
        The schema of the records.
    """
    schema = record_schema(point, "request" if candidates > 1 else "impression")
    os.makedirs(directory)
    write_vocabulary(os.path.join(directory, "vocabularies", "item.txt"),
                     _raw_ids(np.arange(point.num_items), schema, "item"))
    save_statistics(
        Statistics(numeric={f.name: Moments(0.0, 1.0) for f in schema.numeric_features}),
        os.path.join(directory, "statistics.json"))
    batches = tqdm(range(num_batches), desc=f"making {schema.layout}s", unit=" batches",
                   leave=False)
    records = [encode_example(row, schema) for seed in batches
               for row in _rows(schema, point, seed, candidates)]
    for split, gzip in (("plain", False), ("gzip", True)):
        for shard in range(_SHARDS):
            write_records(shard_path(os.path.join(directory, split), shard, _SHARDS, gzip),
                          records[shard::_SHARDS])
    return schema


def _rows(schema: Schema, point: ReferencePoint, seed: int,
          candidates: int) -> Iterator[dict[str, Any]]:
    """One batch of the point, taken apart into what `encode_example` takes."""
    features, labels, _ = make_batch(point, seed, candidates)
    columns: dict[str, list[Any]] = {
        f.name: _raw_ids(_rows_of_tables(features[f.name]), schema, f.vocabulary)
        for f in schema.id_features}
    columns |= {f.name: features[f.name].numpy().tolist() for f in schema.numeric_features}
    columns |= {t.label: labels[t.name].numpy().astype(int).tolist() for t in schema.tasks}
    for f in schema.record_features:
        if f.values == "position":
            columns[f.name] = _parts(columns[f.name], features[f.name].row_splits.numpy())
        elif f.values == "candidate":
            ends = [*range(0, point.batch_size, candidates), point.batch_size]
            columns[f.name] = _parts(columns[f.name], ends)
    for values in zip(*columns.values()):
        yield dict(zip(columns, values))


def _rows_of_tables(ids: Any) -> np.ndarray:
    return (ids.values if isinstance(ids, tf.RaggedTensor) else ids).numpy() - NUM_RESERVED_IDS


def _raw_ids(numbers: np.ndarray, schema: Schema, vocabulary_name: str) -> list[int] | list[str]:
    """The ids of a vocabulary by number; those of a file look like the item ids of a shop."""
    vocabulary = schema.vocabulary(vocabulary_name)
    if vocabulary.dtype == "string":
        return [f"{vocabulary_name} {number}" for number in numbers.tolist()]
    return (numbers if vocabulary.kind == "identity" else 1_000_003 + 37 * numbers).tolist()


def _parts(values: list[Any], splits: Any) -> list[list[Any]]:
    return [values[begin:end] for begin, end in zip(splits[:-1], splits[1:])]
