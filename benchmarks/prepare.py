"""Time how fast pipelines.prepare makes records of a log, on one core.

    python -m benchmarks.prepare --core=0

Without --source_dir the log is made up, in KuaiRand's tables, with KuaiRand's spec. `prepare`, the
reference, is all of it: reading, partitions, histories, checks, records, vocabularies. `read` only
reads the tables. `write` only writes the same records, made beforehand: what the disk and the
checksums need. `row by row` takes the columns of the rows, made beforehand, and encodes and writes
one `tf.train.Example` after the other, as a plain program would.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from absl import flags

from dtrn_tf import program  # First: it quietens TensorFlow's start.

from benchmarks import machine, timing
from benchmarks.watch_log import write_watch_log
from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preparation.prepare import prepare
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec, load_prepare_spec
from dtrn_tf.data.preparation.record_writer import write_records
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.source import Source, read_batches
from dtrn_tf.data.preparation.sources import open_source
from dtrn_tf.data.reader import list_shards
from dtrn_tf.schema import load_schema

_SPEC = flags.DEFINE_string("spec", "configs/kuairand/prepare.yaml", "As in pipelines.prepare.")
_SOURCE_DIR = flags.DEFINE_string("source_dir", None, "As in pipelines.prepare; by default a log "
                                  "is made up.")
_ROWS = flags.DEFINE_integer("rows", 100_000, "Impressions of the log that is made up.",
                             lower_bound=1000)
_NUM_SHARDS = flags.DEFINE_integer("num_shards", 4, "As in pipelines.prepare.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often every case is timed.", lower_bound=1)
_CORE = flags.DEFINE_integer("core", 0, "The core to run on; negative: all cores.")
_PREPARE = "prepare"


def main() -> None:
    timing.pin(None if _CORE.value < 0 else _CORE.value)
    print(machine.describe())
    spec = load_prepare_spec(_SPEC.value)
    with tempfile.TemporaryDirectory() as directory:
        log = _SOURCE_DIR.value
        if log is None:
            log = os.path.join(directory, "log")
            write_watch_log(log, _ROWS.value)
        source = open_source(spec, log, seed=0)
        cases = _cases(spec, source, directory)
        cpu: dict[str, list[float]] = {name: [] for name in cases}
        times = timing.interleaved(
            {name: _counting(case, cpu[name]) for name, case in cases.items()},
            _ROUNDS.value, warmup=1)
        print(timing.ratio_table(times, _PREPARE, _speeds(cpu, source.num_rows)))


def _cases(
    spec: PrepareSpec, source: Source, directory: str
) -> dict[str, Callable[[], object]]:
    target = os.path.join(directory, "records")

    def whole() -> object:
        return prepare(spec, source, target, num_shards=_NUM_SHARDS.value, overwrite=True)

    def read() -> int:
        return sum(len(frame) for parts in source.parts().values() for frame in read_batches(parts))

    whole()
    schema = load_schema(os.path.join(target, "schema.yaml"))
    files = [file for split in ("train", "valid", "test") for file in list_shards(target, split)]
    records = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    rows = build_rows(source.read(), spec)
    again = os.path.join(directory, "again.tfrecord")
    return {
        _PREPARE: whole,
        "read": read,
        "write": lambda: write_records(again, records),
        "row by row": lambda: write_records(
            again, (encode_example(row, schema) for row in rows.records())),
    }


def _counting(case: Callable[[], object], seconds: list[float]) -> Callable[[], object]:
    """The case, whose processor time is appended to a list at every call."""
    def call() -> object:
        start = time.process_time()
        result = case()
        seconds.append(time.process_time() - start)
        return result

    return call


def _speeds(cpu: Mapping[str, list[float]], rows: int) -> dict[str, dict[str, str]]:
    """Rows a second of processor time, in which other programs' work does not count."""
    return {"rows/s of a core": {name: f"{rows / float(np.median(seconds)):,.0f}"
                                 for name, seconds in cpu.items()}}


if __name__ == "__main__":
    program.run(main)
