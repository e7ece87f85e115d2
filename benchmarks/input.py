"""Time the way from record files to batches, and what share of a training step it is.

    python -m benchmarks.input --core=0

Records of the reference point of benchmarks.train_step, written to a temporary directory: single
impressions, then requests of 10 candidates, each plain and compressed. `read` is reading, shuffling
and batching, `parse` also parses the batches, `input` is all that training reads: also ids to rows
of tables, normalised numbers, labels and weights. The ratio is to the training step of the same
layout on batches in memory: the share of a step that its input costs on the same core.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from benchmarks import machine, step_flags
from benchmarks.cases import CANDIDATES, Case
from benchmarks.reference_point import ReferencePoint
from benchmarks.reference_records import write_reference_records
from benchmarks.timing import interleaved, ratio_table
from dtrn_tf.data.examples import parse_examples
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records, read_serialized
from dtrn_tf.schema import Schema

_BATCHES = flags.DEFINE_integer(
    "batches", 128, "Batches of records; a timed call reads all of them.", lower_bound=1)
_SHUFFLE_BUFFER = flags.DEFINE_integer(
    "shuffle_buffer", 100_000, "Records held to shuffle, as in training; 0 reads in order.",
    lower_bound=0)
_STEP = "training step"
_STEPS = 4  # of one timed call


def main() -> None:
    step_flags.pin()
    point = step_flags.reference_point()
    print(f"{machine.describe()}\n")
    with tempfile.TemporaryDirectory() as directory:
        for layout, candidates in (("impression", 1), ("request", CANDIDATES)):
            print(_table(os.path.join(directory, layout), point, candidates))


def _table(directory: str, point: ReferencePoint, candidates: int) -> str:
    """Writes records of one layout, times all stages on them, and says the shares of a step."""
    schema = write_reference_records(directory, point, _BATCHES.value, candidates)
    calls = {_STEP: Case(point=point, candidates=candidates).training(_STEPS)}
    bytes_per_row = {}
    for split in ("plain", "gzip"):
        files = list_shards(directory, split)
        bytes_per_row[split] = (sum(map(os.path.getsize, files))
                                / (_BATCHES.value * point.batch_size))
        stages = _stages(files, schema, Preprocessing(schema, directory),
                         records_per_batch=-(-point.batch_size // candidates))
        calls |= {f"{split}: {stage}": _draining(dataset) for stage, dataset in stages.items()}
    times = {name: [s / (_STEPS if name == _STEP else _BATCHES.value) for s in seconds]
             for name, seconds in interleaved(calls, step_flags.ROUNDS.value).items()}
    return (f"{schema.layout} records, {point.batch_size} rows a batch\n"
            + ratio_table(times, _STEP, _speeds(times, bytes_per_row, point.batch_size)) + "\n")


def _stages(files: Sequence[str], schema: Schema, preprocessing: Preprocessing,
            records_per_batch: int) -> dict[str, tf.data.Dataset]:
    """Endless datasets that do more and more of the work."""
    order: dict[str, Any] = {"batch_size": records_per_batch, "repeat": True, "seed": 0,
                             "shuffle_buffer": _SHUFFLE_BUFFER.value}
    serialized = read_serialized(files, **order)
    return {
        "read": serialized,
        "parse": serialized.map(lambda batch: parse_examples(batch, schema)),
        "input": read_records(files, schema, preprocessing, **order),
    }


def _draining(dataset: tf.data.Dataset) -> Callable[[], Any]:
    """What to time: all records once, in one call of the graph, as in training.

    Between two calls the iterator fills its buffers: some 3 batches that a call finds ready.
    """
    iterator = iter(dataset)

    def next_batch(step: Any) -> Any:
        iterator.get_next()
        return step + 1

    def drain() -> Any:
        return tf.while_loop(lambda step: step < _BATCHES.value, next_batch, [tf.constant(0)])

    traced = tf.function(drain, autograph=False).get_concrete_function()
    return lambda: traced()[0].numpy()


def _speeds(times: Mapping[str, list[float]], bytes_per_row: Mapping[str, float],
            rows: int) -> dict[str, dict[str, str]]:
    columns: dict[str, dict[str, str]] = {"rows/s": {}, "MB/s": {}, "bytes/row": {}}
    for name, seconds in times.items():
        speed = rows / float(np.median(seconds))
        columns["rows/s"][name] = f"{speed:,.0f}"
        split = name.partition(":")[0]
        if split in bytes_per_row:
            columns["MB/s"][name] = f"{speed * bytes_per_row[split] / 1e6:,.0f}"
            columns["bytes/row"][name] = f"{bytes_per_row[split]:.0f}"
    return columns


if __name__ == "__main__":
    program.run(main)
