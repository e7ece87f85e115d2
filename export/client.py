"""Ask a model on TensorFlow Serving for predictions, with the features in a JSON file.

    python -m export.client --schema=DIR/NAME/VERSION/assets.extra/schema.yaml \\
      --model_name=NAME --rest=http://localhost:8501 --request=FILE.json

FILE.json holds one user with candidates, or rows that hold both:

    {"user": {"city": "Paris", "liked_item": [7, 9]}, "candidates": [{"item": 3}, {"item": 5}]}
    [{"city": "Paris", "liked_item": [7, 9], "item": 3}, ...]

Prints one line per row, one column per task. REST needs neither TensorFlow nor the extra `serving`.
In Python: `export.serving_client.ServingClient`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from absl import flags

from dtrn_tf import program
from dtrn_tf.errors import UserError
from dtrn_tf.schema import load_schema
from dtrn_tf.text_table import text_table
from export.grpc_transport import GrpcTransport
from export.rest_transport import RestTransport
from export.serving_client import Predictions, ServingClient, Transport

_SCHEMA = flags.DEFINE_string(
    "schema", None, "The version's assets.extra/schema.yaml.", required=True)
_MODEL_NAME = flags.DEFINE_string(
    "model_name", None, "Name of the model on the server.", required=True)
_REQUEST = flags.DEFINE_string(
    "request", None, "JSON file with the features; `-` is the standard input.", required=True)
_REST = flags.DEFINE_string(
    "rest", None, "http://HOST:PORT of the server's REST interface; this or --grpc.")
_GRPC = flags.DEFINE_string(
    "grpc", None, "HOST:PORT of the server's gRPC interface; needs the extra `serving`.")
_TASK = flags.DEFINE_string("task", None, "Only this task; by default all.")
_VERSION = flags.DEFINE_integer(
    "version", None, "Version of the model; by default the server chooses.", lower_bound=1)
_REPEAT_USER = flags.DEFINE_bool(
    "repeat_user", False, "Send the user with every candidate, for servers that merge requests.")
_TIMEOUT = flags.DEFINE_float("timeout", 10.0, "Seconds to wait for an answer.", lower_bound=0.001)


def main() -> None:
    request = _read(_REQUEST.value)
    client = ServingClient(_transport(), load_schema(_SCHEMA.value), _MODEL_NAME.value,
                           _VERSION.value)
    try:
        print(_table(_predict(client, request)))
    finally:
        client.close()


def _transport() -> Transport:
    if (_REST.value is None) == (_GRPC.value is None):
        raise UserError("either --rest or --grpc should say where the server is. Received: "
                        f"{'neither' if _REST.value is None else 'both'}.")
    return (GrpcTransport(_GRPC.value, _TIMEOUT.value) if _REST.value is None
            else RestTransport(_REST.value, _TIMEOUT.value))


def _read(path: str) -> Any:
    try:
        if path == "-":
            return json.load(sys.stdin)
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f"--request should be a JSON file. Received: {path!r}: {error}.") from error


def _predict(client: ServingClient, request: Any) -> Predictions:
    if isinstance(request, list):
        return client.predict_rows(request, task=_TASK.value)
    if (isinstance(request, dict) and set(request) == {"user", "candidates"}
            and isinstance(request["candidates"], list)):
        return client.predict(request["user"], request["candidates"], task=_TASK.value,
                              repeat_user=_REPEAT_USER.value)
    raise UserError('--request should hold {"user": {...}, "candidates": [{...}, ...]} or a list '
                    f"of rows. Received: {request!r:.100}.")


def _table(predictions: Predictions) -> str:
    rows = zip(*predictions.values())
    return text_table([["row", *predictions], *(
        [str(number), *(f"{value:.4f}" for value in row)] for number, row in enumerate(rows))])


if __name__ == "__main__":
    program.run(main)
