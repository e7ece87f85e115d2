"""Requests that a server replays before it takes a version into use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.schema import REQUEST_INDEX, Schema
from export.signatures import EXAMPLES
from export.verification import dense_request

BATCH_SIZES = (1, 100)
_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")


def write_warm_up(saved_model: str, model_name: str, signatures: Mapping[str, Any],
                  schema: Schema, records: Sequence[bytes]) -> int:
    """Writes requests to every signature where TensorFlow Serving looks for them.

    A server with batching refuses requests whose inputs or outputs differ in their number of rows,
    and does not load a model whose warm-up fails. So the user stands in every row, and `examples`
    gets requests with one candidate.

    Args:
        saved_model: Directory; its `assets.extra` is made if absent.
        model_name: Its name on the server.
        signatures: Concrete functions by name.
        schema: Of the records.
        records: Serialized examples.

    Returns:
        How many requests were written; 0 without the extra `serving`, which has their messages.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return 0
    path = os.path.join(saved_model, _FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    count = 0
    with tf.io.TFRecordWriter(path) as writer:
        for name, inputs in _requests(signatures, schema, records):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = name
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())
            count += 1
    return count


def _requests(signatures: Mapping[str, Any], schema: Schema, records: Sequence[bytes]
              ) -> Iterator[tuple[str, dict[str, Any]]]:
    singles = [record for record in records[:1000] if _num_candidates(record, schema) == 1]
    for size in BATCH_SIZES:
        dense = dense_request(_parsed(records[:size], schema), schema)
        for name in signatures:
            if name != EXAMPLES:
                yield name, dense
            elif singles:
                yield name, {EXAMPLES: np.array(singles[:size], object)}


def _num_candidates(record: bytes, schema: Schema) -> int:
    return len(_parsed([record], schema)[REQUEST_INDEX]) if schema.layout == "request" else 1


def _parsed(records: Sequence[bytes], schema: Schema) -> dict[str, Any]:
    return parse_examples(tf.constant(list(records)), schema, labels=False)
