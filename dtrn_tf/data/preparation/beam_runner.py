"""Prepares a log as an Apache Beam pipeline: on this machine, Dataflow, Flink or Spark.

The steps are those of `local_runner`: rows go to the shard of their user, and every shard is made
by itself. Launcher and workers must find the source and the directory under the same paths.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
import pandas as pd
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsSingleton

from dtrn_tf.data.preparation.negatives import merge_item_days
from dtrn_tf.data.preparation.partitions import from_bytes, join, split_by_partition, to_bytes
from dtrn_tf.data.preparation.shard import Job, prepare_shard
from dtrn_tf.data.preparation.source import Part, Source, read_parts
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.data.preparation.tally import Tally
from dtrn_tf.errors import DataError, UserError

_TALLY = "tally.pickle"
_OUR_ERROR = re.compile(r"dtrn_tf\.errors\.\w+: (.*)")
# A table and some of its rows, serialized.
_Piece = tuple[str, bytes]


def pipeline_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options from those of a command line.

    Raises:
        UserError: Beam and its runners do not know an option, or a value does not fit.
    """
    said = io.StringIO()  # How to use 200 options, and what is wrong.
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(arguments))
            known = options.get_all_options()
    except (SystemExit, ValueError) as error:
        reason = said.getvalue().strip().rpartition("error: ")[2] or str(error)
        raise UserError("--beam_options should be options of Apache Beam or of its runner. "
                        f"Received: {reason}.") from error
    unknown = options.get_all_options(retain_unknown_options=True).keys() - known.keys()
    if unknown:
        raise UserError("--beam_options should be options of Apache Beam or of its runner. "
                        f"Received: {sorted(unknown)}, which it does not know.")
    return options


def run_on_beam(
    source: Source, job: Job, directory: str, options: PipelineOptions
) -> Tally:
    """Writes all shards; a worker needs memory for one partition and for the items.

    Args:
        source: The log.
        job: What to make of it.
        directory: Gets the shards.
        options: Name the runner, and what it needs.

    Raises:
        DataError: A file cannot be read, or does not fit the spec; or the pipeline failed.
    """
    try:
        with beam.Pipeline(options=options) as pipeline:
            _build(pipeline, source, job, directory)
    except Exception as error:
        raise _as_user_error(error) from error
    path = os.path.join(directory, _TALLY)
    with open(path, "rb") as file:
        tally: Tally = pickle.load(file)
    os.remove(path)
    return tally


def _build(pipeline: beam.Pipeline, source: Source, job: Job, directory: str) -> None:
    parts = [(table, part) for table, found in source.parts().items() if table != "items"
             for part in found]
    # Reshuffled: every part is read where there is room, not all of them where they were listed.
    batches = (pipeline | "parts" >> beam.Create(parts) | "spread" >> beam.Reshuffle()
               | "read" >> beam.FlatMap(_read))
    pieces = batches | "by user" >> beam.FlatMap(_pieces, job)
    # Every shard is written, with users or without.
    shards = pipeline | "shards" >> beam.Create([(s, None) for s in range(job.num_shards)])
    known = {}
    if source.items:
        known["items"] = AsSingleton(
            pipeline | "item parts" >> beam.Create([source.items])
            | "items" >> beam.Map(read_parts))
    if job.spec.negatives is not None:
        known["item_days"] = AsSingleton(
            batches | "item days" >> beam.FlatMap(_item_days, job)
            | "sum of item days" >> beam.CombineGlobally(merge_item_days))
    tallies = ((pieces, shards) | beam.Flatten() | beam.GroupByKey()
               | "write" >> beam.Map(_write, source.heads(), job, directory, **known))
    (tallies | "sum of tallies" >> beam.CombineGlobally(_Sum(job))
     | "save" >> beam.Map(_save, os.path.join(directory, _TALLY)))


def _read(table_part: tuple[str, Part]) -> Iterator[tuple[str, pd.DataFrame]]:
    table, part = table_part
    return ((table, frame) for frame in part())


def _pieces(batch: tuple[str, pd.DataFrame], job: Job) -> Iterator[tuple[int, _Piece]]:
    table, frame = batch
    for shard, rows in split_by_partition(frame, job.shards_of_rows(table, frame)):
        yield shard, (table, to_bytes(rows))


def _item_days(batch: tuple[str, pd.DataFrame], job: Job) -> list[pd.DataFrame]:
    table, frame = batch
    return job.item_days(frame) if table == "interactions" else []


def _write(
    shard_pieces: tuple[int, Iterable[_Piece | None]], heads: Mapping[str, pd.DataFrame], job: Job,
    directory: str, items: pd.DataFrame | None = None, item_days: pd.DataFrame | None = None,
) -> Tally:
    shard, pieces = shard_pieces
    found: dict[str, list] = {table: [] for table in heads if table != "items"}
    for table, rows in filter(None, pieces):
        found[table].append(from_bytes(rows))
    tables = {table: join(rows, heads[table]) for table, rows in found.items()}
    return prepare_shard(Tables(**tables, items=items, item_days=item_days), job, shard, directory)


class _Sum(beam.CombineFn):
    """The tally of all shards."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def create_accumulator(self) -> Tally:
        return self._job.tally()

    def add_input(self, accumulator: Tally, tally: Tally) -> Tally:
        accumulator.merge(tally)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Tally]) -> Tally:
        total = self.create_accumulator()
        for tally in accumulators:
            total.merge(tally)
        return total

    def extract_output(self, accumulator: Tally) -> Tally:
        return accumulator


def _save(tally: Tally, path: str) -> None:
    with open(f"{path}.tmp", "wb") as file:
        pickle.dump(tally, file)
    os.replace(f"{path}.tmp", path)


def _as_user_error(error: Exception) -> UserError:
    """Our own error of a worker, which arrives as one of Beam's with ours in its text."""
    if isinstance(error, UserError):
        return error
    found = _OUR_ERROR.findall(str(error))
    if found:
        return DataError(found[-1])
    return DataError("the pipeline should run to its end. Received: "
                     f"{type(error).__name__}: {error}. See the messages of its runner, and "
                     "--beam_options.")
