"""Predictions over TensorFlow Serving's gRPC interface; needs the extra `serving`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dtrn_tf.errors import UserError
from export.request import Column
from export.serving_error import serving_error


class GrpcTransport:
    """Calls `PredictionService.Predict`.

    Args:
        address: `HOST:PORT`, of the server's --port.
        timeout: Seconds to wait for an answer.

    Raises:
        UserError: The extra `serving` is not installed.
    """

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        self._grpc, self._apis = _modules()
        self._address, self._timeout = address, timeout
        self._channel = self._grpc.insecure_channel(address)
        self._service = self._apis.prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, model: str, version: int | None, signature: str,
                inputs: Mapping[str, Column]) -> dict[str, list[Any]]:
        """Calls one signature: {output: [B]}.

        Raises:
            ServingError: The server gave no predictions.
        """
        import tensorflow as tf

        request = self._apis.predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        for name, column in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(column.rows, column.dtype))
        try:
            response = self._service.Predict(request, self._timeout)
        except self._grpc.RpcError as error:
            raise serving_error(self._reason(error), self._address, model,
                                error.details()) from error
        return {name: tf.make_ndarray(output).tolist() for name, output in response.outputs.items()}

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _reason(self, error: Any) -> str:
        code = self._grpc.StatusCode
        return {code.UNAVAILABLE: "unavailable", code.DEADLINE_EXCEEDED: "timeout",
                code.NOT_FOUND: "not_found"}.get(error.code(), "rejected")


def _modules() -> tuple[Any, Any]:
    try:
        import grpc
        import tensorflow_serving.apis.predict_pb2
        import tensorflow_serving.apis.prediction_service_pb2_grpc  # noqa: F401
    except ImportError as error:
        raise UserError("gRPC should find TF Serving's messages. Received: "
                        f"{error}. Remedy: pip install 'dtrn_tf[serving]', or use REST, which "
                        "needs nothing.") from error
    return grpc, tensorflow_serving.apis
