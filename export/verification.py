"""Proves that a SavedModel gives what the Keras model gives, in a process without the project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.data.preprocessing import padded_inputs
from dtrn_tf.errors import UserError
from dtrn_tf.schema import REQUEST_INDEX, Schema
from export.dense_inputs import candidate_inputs, dense_inputs
from export.signatures import EXAMPLES, Model, Preprocess, signature_functions

BATCH_SIZES = (1, 2, 1000)
# Of a probability. The same operations on the same machine differ by the order of sums at most, of
# hundreds of terms in float32 where a field has hundreds of numbers.
TOLERANCE = 3e-6

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "verify_saved_model.py")


def write_expected(
    path: str, model: Model, preprocessing: Preprocess, schema: Schema, records: Sequence[bytes]
) -> None:
    """Writes inputs and expected outputs of every signature at every batch size.

    The outputs come the way of training: records -> parsing -> preprocessing -> model. The dense
    signatures are called with a row of the request for every candidate, and with one for all.

    Args:
        path: Of the .npz file; see `verify_saved_model.py` for its layout.
        model: Maps preprocessed features to logits {task: [B]}.
        preprocessing: Maps raw features to what the model takes.
        schema: Of the records.
        records: Serialized examples, as many as the largest batch. A batch of requests has as many
            rows as they have candidates.
    """
    tensors = {}
    functions = signature_functions(model, preprocessing, schema)
    of_examples = functions.pop(EXAMPLES)

    def expect(where: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, Any]) -> None:
        tensors.update({f"{where}/inputs/{key}": value for key, value in inputs.items()})
        tensors.update({f"{where}/outputs/{key}": value.numpy() for key, value in outputs.items()})

    for size in BATCH_SIZES:
        serialized = np.array(records[:size], object)
        raw = parse_examples(tf.constant(serialized), schema, labels=False)
        expect(f"batch of {size}/{EXAMPLES}", {"examples": serialized}, of_examples(raw))
        # Compared like with like: requests and their rows add up the same numbers in another order.
        rows = _rows(raw, schema)
        for batch, form in (("batch", rows), ("request", _first_request(rows, schema))):
            for name, function in functions.items():
                expect(f"{batch} of {size}/{name}", _dense(form, schema), function(form))
    files: dict[str, Any] = {name: _serialized(value) for name, value in tensors.items()}
    np.savez(path, **files)


def dense_request(raw: Mapping[str, Any], schema: Schema) -> dict[str, np.ndarray]:
    """Raw features in the form of the dense signatures; behind a sequence stands a known id.

    A merging server pads with whatever it has, so nothing may depend on it. Candidates of requests
    repeat the user side of theirs.
    """
    return _dense(_rows(raw, schema), schema)


def _dense(raw: Mapping[str, Any], schema: Schema) -> dict[str, np.ndarray]:
    request = dict[str, np.ndarray]()
    for name in dense_inputs(schema):
        if name in raw:
            is_list = isinstance(raw[name], tf.RaggedTensor)
            request[name] = _padded(raw[name]) if is_list else raw[name].numpy()
    for length_name, (first, *_) in padded_inputs(schema).items():
        request[length_name] = raw[first].row_lengths().numpy().astype(np.int64)
    return request


def verify(saved_model: str, expected: str) -> float:
    """Runs `verify_saved_model.py` in a fresh interpreter.

    Returns:
        The largest difference of an output.

    Raises:
        UserError: An output differs, or the model cannot be loaded or called.
    """
    # The CPU gives the reference, whatever this machine has.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-I", _SCRIPT, os.path.abspath(saved_model), os.path.abspath(expected),
         str(TOLERANCE)],
        capture_output=True, text=True, env=environment, cwd=os.path.dirname(saved_model))
    if done.returncode != 0:
        said = f"{done.stderr}\n{done.stdout}".strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}."
        raise UserError("the exported model should give the outputs of the Keras model in a "
                        f"process without this package. Received: {reason} Nothing was exported. "
                        "Remedy: keep the model to TensorFlow operations whose state is in "
                        "variables and lookup tables.")
    return float(done.stdout.strip().splitlines()[-1])


def _rows(raw: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Raw features of one candidate a request: candidates repeat the user side of theirs."""
    candidates = candidate_inputs(schema)
    rows = {name: value if name in candidates or REQUEST_INDEX not in raw
            else tf.gather(value, raw[REQUEST_INDEX])
            for name, value in raw.items() if name != REQUEST_INDEX}
    return rows | _request_index(rows, schema, tf.range)


def _first_request(rows: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The candidates of all rows, as if they belonged to the first one's request."""
    candidates = candidate_inputs(schema)
    first = {name: value if name in candidates else value[:1]
             for name, value in rows.items() if name != REQUEST_INDEX}
    return first | _request_index(first, schema, lambda size: tf.zeros([size], tf.int32))


def _request_index(raw: Mapping[str, Any], schema: Schema,
                   make: Callable[[int], tf.Tensor]) -> dict[str, tf.Tensor]:
    candidates = candidate_inputs(schema)
    if not candidates or len(candidates) == len(dense_inputs(schema)):
        return {}
    return {REQUEST_INDEX: make(raw[candidates[0]].shape[0])}


def _padded(sequences: Any) -> np.ndarray:
    """[B, (L)] -> [B, L + 1], padded with the first id there is."""
    ids = sequences.flat_values
    width = tf.reduce_max(sequences.row_lengths()) + 1
    padding = tf.concat([ids, tf.zeros([1], ids.dtype)], axis=0)[0]
    return sequences.to_tensor(padding, shape=[None, width]).numpy()


def _serialized(value: np.ndarray) -> np.ndarray:
    return np.frombuffer(tf.make_tensor_proto(value).SerializeToString(), np.uint8)
