"""Train a DTRN model, or one of its baselines, on TFRecord shards.

    python -m pipelines.train --flagfile=configs/synthetic/train.flags

reads DATA_DIR/{train,valid}/*.tfrecord and what pipelines.prepare wrote beside them, and writes
RUN_DIR: flags, schema, versions, checkpoints, the best model, metrics and TensorBoard curves.
The same command goes on where a run was stopped. Exit code 75 asks for that: the run was told to
end (SIGTERM), or a process of its cluster is gone. docs/training.md says more.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from dtrn_tf.data.bad_records import BadRecordLimit
from dtrn_tf.data.reader import explain, list_shards
from dtrn_tf.data.shards import Shards, check_shards
from dtrn_tf.evaluation import metrics_table
from dtrn_tf.schema import Schema, load_schema
from dtrn_tf.training import RunDirectory, Trainer, report_bad_records
from dtrn_tf.training.bad_record_report import Counts
from dtrn_tf.training.cluster import Cluster
from dtrn_tf.training.interruption import EXIT_CODE, Interrupted, StopRequest
from dtrn_tf.training.servers import serve_until_chief_ends
from pipelines.dry_run import dry_run
from pipelines.training_flags import (build_strategy, build_trainer, check_flags_of_servers,
                                      config_to_serve)
from pipelines.warm_start_flags import files_to_start_with

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory with schema.yaml and the train and valid shards.", required=True)
_RUN_DIR = flags.DEFINE_string("run_dir", None, "Directory of the run.", required=True)
_MAX_BAD_RECORDS = flags.DEFINE_integer(
    "max_bad_records", 0,
    "The most damaged or unfitting records, in both splits together, to leave out and count; 0: "
    "the first one stops the run. Above 0 every record is checked before training.",
    lower_bound=0)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Only check everything, once and in seconds (files, schema, a step, an "
    "evaluation, a checkpoint), and print the plan; nothing is kept.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete the run in --run_dir and begin anew.")


def main() -> int:
    check_flags_of_servers()
    config = config_to_serve()
    if config:
        serve_until_chief_ends(config)
        return 0 if RunDirectory(_RUN_DIR.value).is_finished else EXIT_CODE
    strategy = build_strategy()
    stop = StopRequest()  # After the strategy: a cluster takes SIGTERM for itself.
    cluster = Cluster(strategy)
    schema = load_schema(os.path.join(_DATA_DIR.value, "schema.yaml"))
    limit = BadRecordLimit(_MAX_BAD_RECORDS.value)
    shards = {split: check_shards(list_shards(_DATA_DIR.value, split), schema, limit)
              for split in ("train", "valid")}
    run = RunDirectory(_RUN_DIR.value)
    is_new = _OVERWRITE.value or not run.is_started
    if _DRY_RUN.value:
        _rehearse(schema, shards, run, strategy)
        return 0
    try:
        with cluster.together():
            skipped = _open(run, shards, strategy)
            if run.is_finished:
                print(f"{run.path} is finished; --overwrite begins anew")
            else:
                # Its vocabularies may hold more ids than the records.
                schema = load_schema(run.file("schema.yaml"))
                summary = _train(schema, shards, run, strategy, stop, is_new)
                if cluster.is_chief:
                    run.finish({**summary, "bad_records": skipped})
    except Interrupted as interruption:
        print(f"{run.path}: {interruption}. The same command goes on.", file=sys.stderr)
        return EXIT_CODE
    if cluster.is_chief:
        _report(run)
    return 0


def _open(run: RunDirectory, shards: dict[str, Shards], strategy: Any) -> Counts:
    """Makes the run directory or checks that it is this run's; the other processes wait."""
    cluster = Cluster(strategy)
    skipped: Counts = {}
    if cluster.is_chief:
        if _OVERWRITE.value:
            run.remove()
        with files_to_start_with(_DATA_DIR.value, run) as directory:
            run.start(directory, _what_is_run(shards, strategy))
        if _MAX_BAD_RECORDS.value and not run.is_finished:
            skipped = report_bad_records({split: s.bad_records for split, s in shards.items()}, run)
    cluster.wait()
    return skipped


def _what_is_run(shards: dict[str, Shards], strategy: Any) -> str:
    """The flags, and in comments what else the state of the input depends on."""
    lines = [f"# processes: {Cluster(strategy).size}, devices: {strategy.num_replicas_in_sync}"]
    lines += [f"# {split}: {len(s.files)} files, {sum(map(os.path.getsize, s.files))} bytes, "
              f"{s.num_records} good records" for split, s in shards.items()]
    # A run that was moved is still the same run.
    return "\n".join(lines) + "\n" + program.resolved_flags(without=(
        "dry_run", "overwrite", "run_dir"))


def _rehearse(schema: Schema, shards: dict[str, Shards], run: RunDirectory,
              strategy: Any) -> None:
    flags_text = _what_is_run(shards, strategy)
    if run.is_started and not _OVERWRITE.value:
        run.start(_DATA_DIR.value, flags_text)  # Only checks that it may go on.
    try:
        dry_run(schema, shards, run, _DATA_DIR.value, flags_text, strategy)
    except tf.errors.OpError as error:
        raise _explained(error, schema, shards) from error


def _train(schema: Schema, shards: dict[str, Shards], run: RunDirectory, strategy: Any,
           stop: StopRequest, is_new: bool) -> dict[str, float]:
    try:
        trainer = _build(schema, shards, run, strategy, stop, is_new)
        step = trainer.restore()
        print(f"{'resuming' if step else 'starting'} {run.path} at step {step}")
        return trainer.train()
    except tf.errors.OpError as error:
        raise _explained(error, schema, shards) from error


def _build(schema: Schema, shards: dict[str, Shards], run: RunDirectory, strategy: Any,
           stop: StopRequest, is_new: bool) -> Trainer:
    try:
        return build_trainer(schema, shards, run, strategy, stop)
    except ValueError:
        if is_new and Cluster(strategy).is_chief:
            run.take_back()
        raise


def _explained(error: tf.errors.OpError, schema: Schema, shards: dict[str, Shards]) -> Exception:
    return explain(error, [file for s in shards.values() for file in s.files], schema,
                   known=[record for s in shards.values() for record in s.bad_records])


def _report(run: RunDirectory) -> None:
    best = run.read_best()
    print(f"\nBest model: {run.file('best', 'model.keras')}, step {best['step']}; validation:\n")
    print(metrics_table(best["valid"]))
    print(f"\nNext: python -m pipelines.evaluate --run_dir={run.path} "
          f"--data_dir={_DATA_DIR.value}")


if __name__ == "__main__":
    program.run(main)
