"""Call every signature of an exported model on test records and print what it answers.

    python -m export.call --saved_model=DIR/NAME/VERSION --data_dir=DATA

The schema comes from the version's own assets.extra; no Keras model is loaded.
"""

from __future__ import annotations

import os

from absl import flags

from dtrn_tf import program

import tensorflow as tf  # isort: skip  (program quietens TensorFlow's start)

from dtrn_tf.errors import UserError
from dtrn_tf.schema import load_schema
from export.answers import answers_table, call_signatures
from export.real_records import real_records

_SAVED_MODEL = flags.DEFINE_string(
    "saved_model", None, "Directory of one version, as `python -m export` prints it.",
    required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory with a test split, written by pipelines.prepare.", required=True)
_ROWS = flags.DEFINE_integer("rows", 2, "Number of test records to send.", lower_bound=1)
_MAX_BAD_RECORDS = flags.DEFINE_integer(
    "max_bad_records", 0,
    "The most damaged or unfitting records to pass over on the way to those that are used; 0: the "
    "first one is an error.", lower_bound=0)


def main() -> None:
    if not os.path.exists(os.path.join(_SAVED_MODEL.value, "saved_model.pb")):
        raise UserError("--saved_model should be the directory of a version, with saved_model.pb "
                        f"in it. Received: {_SAVED_MODEL.value!r}.")
    schema = load_schema(os.path.join(_SAVED_MODEL.value, "assets.extra", "schema.yaml"))
    records = real_records(_DATA_DIR.value, schema, _ROWS.value,
                           max_bad_records=_MAX_BAD_RECORDS.value)
    signatures = tf.saved_model.load(_SAVED_MODEL.value).signatures
    print(answers_table(call_signatures(signatures, schema, records), schema.task_names))


if __name__ == "__main__":
    program.run(main)
