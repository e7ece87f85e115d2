"""Measure a trained model on a split: AUC, GAUC, log loss, normalised entropy, calibration.

    python -m pipelines.evaluate --run_dir=RUN --data_dir=DATA --split=test

prints one line per task over the rows where the task is observed, and writes the same numbers to
RUN/evaluation/SPLIT/metrics.json. `undefined` (null in the file) stands where a metric has no
value, such as the AUC of rows of one class.
"""

from __future__ import annotations

import os

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from dtrn_tf.data.reader import check_shards, explain, list_shards, read_records
from dtrn_tf.evaluation import Results, evaluate, metrics_table, predict, write_metrics
from dtrn_tf.training.run_directory import load_run

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Directory of the run, written by pipelines.train.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory with the split's shards, written by pipelines.prepare.",
    required=True)
_SPLIT = flags.DEFINE_string("split", "test", "Which split to measure on.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 4096, "Records of a batch; changes speed and memory only.", lower_bound=1)
_OUTPUT = flags.DEFINE_string(
    "output", None, "File for the metrics, by default RUN_DIR/evaluation/SPLIT/metrics.json.")


def main() -> None:
    output = _OUTPUT.value or os.path.join(
        _RUN_DIR.value, "evaluation", _SPLIT.value, "metrics.json")
    results = evaluate_run(_RUN_DIR.value, _DATA_DIR.value, _SPLIT.value, _BATCH_SIZE.value)
    write_metrics(results, output)
    print(metrics_table(results))
    print(f"\nWritten to {output}")


def evaluate_run(run_dir: str, data_dir: str, split: str, batch_size: int) -> Results:
    """Metrics of the best model of a run on the records of a split."""
    model, preprocessing, schema = load_run(run_dir)
    files = list_shards(data_dir, split)
    check_shards(files, schema)
    group = schema.group.name if schema.group else None
    records = read_records(files, schema, preprocessing, batch_size=batch_size,
                           group=group is not None)
    try:
        return evaluate(predict(model, records, group=group), schema)
    except tf.errors.OpError as error:
        raise explain(error, files, schema) from error


if __name__ == "__main__":
    program.run(main)
