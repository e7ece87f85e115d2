"""A server for tests that speaks TensorFlow Serving's protocols over a session-loaded SavedModel.

gRPC: `PredictionService.Predict`. REST: `POST /v1/models/NAME[/versions/N]:predict`, in row form
(`instances`) and columnar form (`inputs`). Errors have the codes and words of TensorFlow Serving.
"""

import base64
import contextlib
import http.server
import json
import re
import threading
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class NotFound(Exception):
    """There is no such model or version."""


class Invalid(Exception):
    """The request does not fit the signature."""


class LoadedModel:
    """One version of one model, in the loader that C++ servers use."""

    def __init__(self, path, name="dtrn", version=1):
        self.name, self.version = name, version
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(self.session, ["serve"], path)
        self.signatures = meta_graph.signature_def

    def signature(self, name, version, signature_name):
        if name != self.name or version not in (None, self.version):
            raise NotFound(f"Servable not found for request: Specific({name}, {version})")
        signature_name = signature_name or "serving_default"
        if signature_name not in self.signatures:
            raise Invalid(f'Serving signature name: "{signature_name}" not found')
        return self.signatures[signature_name]

    def predict(self, signature, inputs):
        """{output: array}; inputs {name: array}."""
        if set(inputs) != set(signature.inputs):
            raise Invalid(f"input size does not match signature: {sorted(inputs)} and "
                          f"{sorted(signature.inputs)}")
        for name, info in signature.inputs.items():
            if tf.as_dtype(info.dtype) != tf.as_dtype(inputs[name].dtype):
                raise Invalid(f"{name}: {inputs[name].dtype}")
        try:
            return self.session.run(
                {name: info.name for name, info in signature.outputs.items()},
                {info.name: inputs[name] for name, info in signature.inputs.items()})
        except (tf.errors.OpError, ValueError) as error:
            raise Invalid(str(error)) from error


@contextlib.contextmanager
def grpc_server(model):
    """Serves a model on a free port: gives HOST:PORT."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(model), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        try:
            signature = self.model.signature(spec.name, version, spec.signature_name)
            outputs = self.model.predict(signature, {
                name: tf.make_ndarray(value) for name, value in request.inputs.items()})
        except NotFound as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except Invalid as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


@contextlib.contextmanager
def rest_server(model):
    """Serves a model on a free port: gives http://HOST:PORT."""
    handler = type("Handler", (_Handler,), {"model": model})
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, answer = 200, self._predict(json.loads(body))
        except NotFound as error:
            status, answer = 404, {"error": str(error)}
        except Invalid as error:
            status, answer = 400, {"error": str(error)}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _predict(self, body):
        match = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict", self.path)
        if not match:
            raise Invalid(f"Malformed request: POST {self.path}")
        version = None if match[2] is None else int(match[2])
        signature = self.model.signature(match[1], version, body.get("signature_name"))
        is_columnar = "inputs" in body
        columns = body["inputs"] if is_columnar else _columns(body["instances"], signature)
        if not isinstance(columns, dict):  # The only input goes without its name.
            columns = {next(iter(signature.inputs)): columns}
        outputs = self.model.predict(signature, {
            name: _array(value, signature.inputs[name].dtype) for name, value in columns.items()
            if name in signature.inputs or _unknown(name)})
        lists = {name: value.tolist() for name, value in outputs.items()}
        if is_columnar:
            return {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}
        rows = [dict(zip(lists, row)) for row in zip(*lists.values())]
        return {"predictions": rows if len(lists) > 1 else [next(iter(r.values())) for r in rows]}

    def log_message(self, *_):
        """Nothing: tests say what matters."""


def _unknown(name):
    raise Invalid(f"unknown input {name}")


def _columns(instances, signature):
    if not isinstance(instances[0], dict) or set(instances[0]) == {"b64"}:
        return instances
    names = {name for instance in instances for name in instance}
    if any(set(instance) != names for instance in instances):
        raise Invalid("all instances should have the same inputs")
    return {name: [instance[name] for instance in instances] for name in names}


def _array(values, dtype):
    dtype = tf.as_dtype(dtype)
    try:
        if dtype == tf.string:
            values = np.array(_bytes(values), object)
        array = np.array(values, dtype.as_numpy_dtype)
    except (TypeError, ValueError) as error:  # Ragged, or of another type.
        raise Invalid(str(error)) from error
    if dtype.is_integer and np.array(values).dtype.kind == "f":
        raise Invalid("should be whole numbers")
    return array


def _bytes(value):
    if isinstance(value, list):
        return [_bytes(item) for item in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    if not isinstance(value, str):
        raise Invalid("should be a string")
    return value.encode()
