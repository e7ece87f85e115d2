"""Measure a trained model on a split: AUC, GAUC, log loss, normalised entropy, calibration.

    python -m pipelines.evaluate --run_dir=RUN --data_dir=DATA --split=test

prints one line per task over the rows where the task is observed, and writes the same numbers to
RUN/evaluation/SPLIT/metrics.json. `undefined` (null in the file) stands where a metric has no
value, such as the AUC of rows of one class.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from dtrn_tf.data.bad_records import BadRecordLimit, bad_record_lines, count_bad_records
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import explain, list_shards, read_records
from dtrn_tf.data.shards import Shards, check_shards
from dtrn_tf.evaluation import Results, evaluate, metrics_table, predict, write_metrics
from dtrn_tf.schema import Schema
from dtrn_tf.training.run_directory import load_run

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Directory of the run, written by pipelines.train.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory with the split's shards, written by pipelines.prepare.",
    required=True)
_SPLIT = flags.DEFINE_string("split", "test", "Which split to measure on.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 4096, "Records of a batch; changes speed and memory only.", lower_bound=1)
_MAX_BAD_RECORDS = flags.DEFINE_integer(
    "max_bad_records", 0,
    "The most damaged or unfitting records to leave out and count; 0: the first one is an error. "
    "Above 0 every record is checked first.", lower_bound=0)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File for the metrics, by default RUN_DIR/evaluation/SPLIT/metrics.json.")


def main() -> None:
    output = _OUTPUT.value or os.path.join(
        _RUN_DIR.value, "evaluation", _SPLIT.value, "metrics.json")
    model, preprocessing, schema = load_run(_RUN_DIR.value)
    limit = BadRecordLimit(_MAX_BAD_RECORDS.value)
    shards = check_shards(list_shards(_DATA_DIR.value, _SPLIT.value), schema, limit)
    for line in bad_record_lines(shards.bad_records):
        print(line, file=sys.stderr)
    results = _evaluate(model, preprocessing, schema, shards)
    skipped = {"bad_records": {_SPLIT.value: count_bad_records(shards.bad_records)}}
    write_metrics({**results, **(skipped if limit.allows_any else {})}, output)
    print(metrics_table(results))
    print(f"\nWritten to {output}")


def _evaluate(model: Any, preprocessing: Preprocessing, schema: Schema,
              shards: Shards) -> Results:
    group = schema.group.name if schema.group else None
    records = read_records(shards.files, schema, preprocessing, batch_size=_BATCH_SIZE.value,
                           group=group is not None, runs=shards.runs)
    try:
        return evaluate(predict(model, records, group=group), schema)
    except tf.errors.OpError as error:
        raise explain(error, shards.files, schema, shards.bad_records) from error


if __name__ == "__main__":
    program.run(main)
