"""Export a trained model as a SavedModel for TensorFlow Serving.

    python -m export --run_dir=RUN --export_dir=DIR --model_name=NAME

writes DIR/NAME/VERSION with one signature per task, `serving_default` (all tasks) and `examples`
(serialized tf.train.Example). The version appears only after every signature gave the outputs of
the Keras model in a process without Keras and without this package.
"""

from __future__ import annotations

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from export.exporter import export_run
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


def main() -> None:
    # The CPU gives the reference of the verification; tracing needs no accelerator.
    tf.config.set_visible_devices([], "GPU")
    exported = export_run(_RUN_DIR.value, _EXPORT_DIR.value, _MODEL_NAME.value,
                          version=_VERSION.value, data_dir=_DATA_DIR.value,
                          max_bad_records=_MAX_BAD_RECORDS.value)
    print(f"Exported {exported.path}")
    print(f"Signatures: {', '.join(exported.signatures)}")
    print(f"Verified at batch sizes {', '.join(map(str, BATCH_SIZES))}: largest difference "
          f"{exported.difference:.1e}")
    print(f"Inputs and outputs: {exported.path}/assets.extra/README.md")


if __name__ == "__main__":
    program.run(main)
