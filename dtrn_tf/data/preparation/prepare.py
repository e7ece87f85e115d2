"""Tables of interactions -> a directory of records, vocabularies, statistics and schema."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preparation.leakage import check_leakage
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.record_schema import record_schema, with_sizes
from dtrn_tf.data.preparation.record_writer import RecordWriter, new_directory
from dtrn_tf.data.preparation.requests import check_requests_are_told, records_of_requests
from dtrn_tf.data.preparation.rows import Rows, build_rows
from dtrn_tf.data.preparation.splits import split_rows
from dtrn_tf.data.statistics import save_statistics
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.data.preparation.tally import SPLITS, Tally
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.errors import DataError
from dtrn_tf.files import write_json
from dtrn_tf.schema import Schema, save_schema


def prepare(
    spec: PrepareSpec,
    chunks: Iterable[Tables],
    data_dir: str,
    *,
    num_shards: int = 4,
    gzip: bool = False,
    layout: str = "impression",
    max_candidates: int = 100,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[int], Any] = lambda num_users: None,
) -> dict[str, Any]:
    """Writes a data directory and returns its summary; needs memory for one chunk and the ids.

    Args:
        spec: What to make of the tables.
        chunks: The log in parts, all rows of a user in one part.
        data_dir: The directory to make.
        num_shards: Files per split.
        gzip: Whether to compress them.
        layout: What a record is: an `impression`, or a `request` with all of its candidates.
        max_candidates: The most candidates of a record; a longer request becomes several.
        seed: Of the order of records; equal seeds give equal files.
        overwrite: Whether to replace an existing data directory.
        progress: Called after each chunk with its number of users.

    Raises:
        DataError: The target exists, a table does not fit the spec, or a split is empty.
        SchemaError: Requests are wanted, but the spec does not say what a request is.
    """
    if layout == "request":
        check_requests_are_told(spec)
    rng = np.random.default_rng(seed)
    schema: Schema | None = None
    tally: Tally | None = None
    with new_directory(data_dir, overwrite, marker="schema.yaml") as directory:
        with RecordWriter(directory, SPLITS, num_shards, gzip) as writer:
            for chunk in chunks:
                rows = build_rows(chunk, spec, layout)
                if schema is None or tally is None:
                    schema = record_schema(spec, rows, layout)
                    tally = Tally(schema, _min_counts(spec))
                splits = split_rows(rows, spec)
                check_leakage(rows, splits, schema)
                for split, index in splits.items():
                    part = _shuffled_records(rows, index, schema, max_candidates, rng)
                    tally.add(split, part)
                    for row in part.records():
                        writer.write(split, encode_example(row, schema))
                progress(chunk.interactions[spec.columns.user].nunique())
        if schema is None or tally is None:
            raise DataError("the log should hold interactions. Received: none. Mend --source_dir.")
        summary = _finish(directory, schema, tally)
        writer.check_no_shard_is_empty()
        return summary


def _shuffled_records(rows: Rows, index: np.ndarray, schema: Schema, max_candidates: int,
                      rng: np.random.Generator) -> Rows:
    """The records of some impressions in random order."""
    if rows.first_impressions is None or schema.layout == "impression":
        return rows.take(rng.permutation(index))
    candidates = records_of_requests(index, rows.first_impressions, max_candidates)
    shuffled = candidates.take(rng.permutation(len(candidates.lengths)))
    return rows.requests(shuffled, schema.candidate_lists)


def _finish(directory: str, schema: Schema, tally: Tally) -> dict[str, Any]:
    tally.check_no_split_is_empty()
    vocabularies = tally.vocabularies()
    for name, ids in vocabularies.items():
        write_vocabulary(os.path.join(directory, schema.vocabulary(name).file or ""), ids)
    save_statistics(tally.statistics(), os.path.join(directory, "statistics.json"))
    save_schema(with_sizes(schema, {name: len(ids) for name, ids in vocabularies.items()}),
                os.path.join(directory, "schema.yaml"))
    summary = tally.summary()
    write_json(os.path.join(directory, "summary.json"), summary)
    return summary


def _min_counts(spec: PrepareSpec) -> dict[str, int]:
    counts: dict[str, int] = {}
    for feature in spec.features:
        name = feature.vocabulary_name
        counts[name] = max(counts.get(name, 1), feature.min_count)
    return counts
