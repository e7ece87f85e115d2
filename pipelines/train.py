"""Train a DTRN model, or one of its baselines, on TFRecord shards.

    python -m pipelines.train --flagfile=configs/synthetic/train.flags

reads DATA_DIR/{train,valid}/*.tfrecord and what pipelines.prepare wrote beside them, and writes
RUN_DIR: flags, schema, versions, checkpoints, the best model, metrics and TensorBoard curves.
The same command goes on where a run was stopped.
"""

from __future__ import annotations

import os

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from dtrn_tf.data.reader import check_shards, explain, list_shards
from dtrn_tf.evaluation import metrics_table
from dtrn_tf.schema import Schema, load_schema
from dtrn_tf.training import RunDirectory
from pipelines.training_flags import build_trainer

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory with schema.yaml and the train and valid shards.", required=True)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Directory of the run.", required=True)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete the run in --run_dir and begin anew.")


def main() -> None:
    schema = load_schema(os.path.join(_DATA_DIR.value, "schema.yaml"))
    shards = {split: list_shards(_DATA_DIR.value, split) for split in ("train", "valid")}
    num_records = {split: check_shards(files, schema) for split, files in shards.items()}
    run = RunDirectory(_RUN_DIR.value)
    if _OVERWRITE.value:
        run.remove()
    # A run that was moved is still the same run.
    run.start(_DATA_DIR.value, program.resolved_flags(without=("overwrite", "run_dir")))
    if run.is_finished:
        print(f"{run.path} is finished; --overwrite begins anew")
    else:
        _train(schema, shards, num_records["train"], run)
    _report(run)


def _train(schema: Schema, shards: dict[str, list[str]], num_records: int,
           run: RunDirectory) -> None:
    try:
        trainer = build_trainer(schema, shards, num_records, run)
        step = trainer.restore()
        print(f"{'resuming' if step else 'starting'} {run.path} at step {step}")
        run.finish(trainer.train())
    except tf.errors.OpError as error:
        raise explain(error, shards["train"] + shards["valid"], schema) from error


def _report(run: RunDirectory) -> None:
    best = run.read_best()
    print(f"\nBest model: {run.file('best', 'model.keras')}, step {best['step']}; validation:\n")
    print(metrics_table(best["valid"]))
    print(f"\nNext: python -m pipelines.evaluate --run_dir={run.path} "
          f"--data_dir={_DATA_DIR.value}")


if __name__ == "__main__":
    program.run(main)
