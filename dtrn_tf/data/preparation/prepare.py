"""Tables of interactions -> a directory of records, vocabularies, statistics and schema."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from dtrn_tf.data.preparation.local_runner import run_locally
from dtrn_tf.data.preparation.negatives import count_item_days
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.record_schema import record_schema, with_sizes
from dtrn_tf.data.preparation.record_writer import new_directory
from dtrn_tf.data.preparation.requests import check_requests_are_told
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.shard import Job
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.data.preparation.tally import Tally
from dtrn_tf.data.statistics import save_statistics
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.files import write_json
from dtrn_tf.schema import Schema, save_schema

# Writes the shards of a job to a directory and counts what is in them.
Runner = Callable[[Source, Job, str], Tally]
_ROWS_PER_SHARD = 250_000


def prepare(
    spec: PrepareSpec,
    source: Source,
    data_dir: str,
    *,
    num_shards: int | None = None,
    gzip: bool = False,
    layout: str = "impression",
    max_candidates: int = 100,
    seed: int = 0,
    overwrite: bool = False,
    run: Runner = run_locally,
) -> dict[str, Any]:
    """Writes a data directory and returns its summary; the same bytes whatever runs it.

    Args:
        spec: What to make of the tables.
        source: The log.
        data_dir: The directory to make.
        num_shards: Files per split, each with the records of some users; by default one for a
            quarter of a million interactions. A shard's users are what is in memory at a time.
        gzip: Whether to compress them.
        layout: What a record is: an `impression`, or a `request` with all of its candidates.
        max_candidates: The most candidates of a record; a longer request becomes several.
        seed: Of the users of a shard and the order of its records; equal seeds give equal files.
        overwrite: Whether to replace an existing data directory.
        run: Writes and counts the shards.

    Raises:
        DataError: The target exists, a table does not fit the spec, or a split or shard is empty.
        SchemaError: Requests are wanted, but the spec does not say what a request is.
    """
    if layout == "request":
        check_requests_are_told(spec)
    with new_directory(data_dir, overwrite, marker="schema.yaml") as directory:
        schema = _schema(spec, source, layout)
        job = Job(spec=spec, schema=schema, gzip=gzip, max_candidates=max_candidates, seed=seed,
                  num_shards=num_shards or -(-source.num_rows // _ROWS_PER_SHARD) or 1,
                  distinct=source.distinct)
        return _finish(directory, schema, run(source, job, directory))


def _schema(spec: PrepareSpec, source: Source, layout: str) -> Schema:
    """The schema of the records; no rows are needed to know their types."""
    heads = source.heads()
    item_days = count_item_days(heads["interactions"], spec) if spec.negatives else None
    rows = build_rows(Tables(**heads, item_days=item_days), spec, layout)
    return record_schema(spec, rows, layout)


def _finish(directory: str, schema: Schema, tally: Tally) -> dict[str, Any]:
    tally.check_no_split_is_empty()
    tally.check_no_shard_is_empty()
    vocabularies = tally.vocabularies()
    for name, ids in vocabularies.items():
        write_vocabulary(os.path.join(directory, schema.vocabulary(name).file or ""), ids)
    save_statistics(tally.statistics(), os.path.join(directory, "statistics.json"))
    save_schema(with_sizes(schema, {name: len(ids) for name, ids in vocabularies.items()}),
                os.path.join(directory, "schema.yaml"))
    summary = tally.summary()
    write_json(os.path.join(directory, "summary.json"), summary)
    return summary
