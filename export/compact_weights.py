"""What fewer bits per weight save, and what they cost in AUC."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import explain, read_records
from dtrn_tf.data.shards import Shards
from dtrn_tf.evaluation import evaluate, predict
from dtrn_tf.schema import Schema
from dtrn_tf.text_table import text_table
from export.compact_model import CompactModel

_BATCH = 1024


def compact_weights(model: Any, preprocessing: Preprocessing, schema: Schema, format: str,
                    records: Shards | None) -> tuple[CompactModel, str]:
    """A model with stored weights, and for people its size and AUC beside those of float32.

    Args:
        model: A Keras model; its weights are rounded.
        preprocessing: Of the model.
        schema: Of the records.
        format: `bfloat16`, `float16` or `int8`.
        records: What AUC is measured on, or nothing.

    Raises:
        UserError: A weight is out of the format's range.
        DataError: A record does not fit the schema.
    """
    before = records and _auc(model, preprocessing, schema, records)
    compact = CompactModel(model, format)
    size = (f"Weights in {format}: {compact.num_bytes:,} bytes, "
            f"{compact.num_bytes / compact.float32_bytes:.0%} of {compact.float32_bytes:,} in "
            "float32.")
    if not before or records is None:
        return compact, f"{size} What they cost in AUC was not measured, without --data_dir."
    after = _auc(model, preprocessing, schema, records)
    return compact, f"{size} AUC on {records.num_records:,} records:\n" + text_table([
        ["task", "float32", format, "difference"],
        *([task, f"{auc:.5f}", f"{after[task]:.5f}", f"{after[task] - auc:+.5f}"]
          for task, auc in before.items())])


def _auc(model: Any, preprocessing: Preprocessing, schema: Schema,
         records: Shards) -> dict[str, float]:
    dataset = read_records(records.files, schema, preprocessing, batch_size=_BATCH,
                           runs=records.runs)
    try:
        results = evaluate(predict(model, dataset), schema)
    except tf.errors.OpError as error:
        raise explain(error, records.files, schema, records.bad_records) from error
    return {task: result["auc"] for task, result in results.items() if "auc" in result}
