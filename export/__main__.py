"""Export a trained model as a SavedModel for TensorFlow Serving.

    python -m export --run_dir=RUN --export_dir=DIR --model_name=NAME

writes DIR/NAME/VERSION with one signature per task, `serving_default` (all tasks) and `examples`
(serialized tf.train.Example). The version appears only after every signature gave the outputs of
the Keras model in a process without Keras and without this package, and passed the gate if one is
set (--min_auc, --max_auc_drop).
"""

from __future__ import annotations

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from export.exporter import export_run
from export.gate import Gate, min_auc_of_flags
from export.stored_weight import FORMATS
from export.verification import BATCH_SIZES

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Directory of the run, written by pipelines.train.", required=True)
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir", None, "Directory of all models; made if absent.", required=True)
_MODEL_NAME = flags.DEFINE_string(
    "model_name", None, "Name of the model, the directory of its versions.", required=True)
_VERSION = flags.DEFINE_integer(
    "version", None, "Number of the version; by default one above the highest.", lower_bound=1)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory whose test records take part in the verification; by default "
    "all records for it are made up from the schema.")
_MAX_BAD_RECORDS = flags.DEFINE_integer(
    "max_bad_records", 0,
    "The most damaged or unfitting records to pass over on the way to those that are used; 0: the "
    "first one is an error.", lower_bound=0)
_MIN_AUC = flags.DEFINE_multi_string(
    "min_auc", [],
    "TASK=AUC: publish only if the exported model reaches this AUC on records of --data_dir. May "
    "be given several times.")
_MAX_AUC_DROP = flags.DEFINE_float(
    "max_auc_drop", None,
    "Publish only if no task's AUC lies further than this below that of the present version, the "
    "highest number, on the same records of --data_dir.", lower_bound=0.0)
_GATE_SPLIT = flags.DEFINE_string(
    "gate_split", "test", "The split of --data_dir for --min_auc and --max_auc_drop; `valid` has "
    "selected the model and flatters it.")
_KEEP_VERSIONS = flags.DEFINE_integer(
    "keep_versions", None,
    "After publishing, remove all but so many of the highest versions; by default none is removed.",
    lower_bound=1)
_WEIGHTS = flags.DEFINE_enum(
    "weights", "float32", FORMATS,
    "How embedding tables, and dense weights above 64 KiB, are stored: int8 with one scale per "
    "row. The size and, with --data_dir, the AUC beside float32 are printed.")


def main() -> None:
    # The CPU gives the reference of the verification; tracing needs no accelerator.
    tf.config.set_visible_devices([], "GPU")
    gate = Gate(min_auc=min_auc_of_flags(_MIN_AUC.value), max_auc_drop=_MAX_AUC_DROP.value,
                split=_GATE_SPLIT.value)
    exported = export_run(_RUN_DIR.value, _EXPORT_DIR.value, _MODEL_NAME.value,
                          version=_VERSION.value, data_dir=_DATA_DIR.value,
                          max_bad_records=_MAX_BAD_RECORDS.value, gate=gate,
                          keep_versions=_KEEP_VERSIONS.value, weights=_WEIGHTS.value)
    print(f"Exported {exported.path}")
    print(f"Signatures: {', '.join(exported.signatures)}")
    print(f"Verified at batch sizes {', '.join(map(str, BATCH_SIZES))}: largest difference "
          f"{exported.difference:.1e}")
    print(f"Warm-up requests: {exported.warm_up}" if exported.warm_up else
          "No warm-up requests were written, so the first calls of a server will be slow. Remedy: "
          "pip install 'dtrn_tf[serving]' and export again.")
    for text in exported.measured:
        print(text)
    for path in exported.removed:
        print(f"Removed {path}")
    print(f"Inputs and outputs: {exported.path}/assets.extra/README.md, to try: request.json")


if __name__ == "__main__":
    program.run(main)
