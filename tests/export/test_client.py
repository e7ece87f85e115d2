"""The client's own part; `test_serving.py` has a server with a model behind it."""

import http.server
import json
import socket
import subprocess
import sys
import threading

import pytest
from helpers import small_schema
from test_request import features

from dtrn_tf.errors import UserError
from dtrn_tf.schema import save_schema
from export.grpc_transport import GrpcTransport
from export.rest_transport import RestTransport
from export.serving_client import ServingClient
from export.serving_error import ServingError

SCHEMA = small_schema()


@pytest.fixture
def silent():
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("localhost", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def nobody():
    """A port that nobody listens at."""
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    return port


def predict(transport):
    client = ServingClient(transport, SCHEMA, "dtrn")
    try:
        return client.predict_rows([features(1)])
    finally:
        client.close()


@pytest.mark.parametrize("kind, reason", [("nobody", "unavailable"), ("silent", "timeout")])
@pytest.mark.parametrize("make", [
    lambda port: RestTransport(f"http://localhost:{port}", 0.3),
    lambda port: GrpcTransport(f"localhost:{port}", 0.3)], ids=["rest", "grpc"])
def test_no_answer(make, kind, reason, request):
    port = request.getfixturevalue(kind)
    with pytest.raises(ServingError, match=rf"localhost:{port} should answer.*Remedy") as error:
        predict(make(port))
    assert error.value.reason == reason


def test_an_answer_that_is_no_json():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            """Nothing."""

    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ServingError, match="take the request to model 'dtrn'. Received: no J"):
            predict(RestTransport(f"http://localhost:{server.server_port}", 5.0))
        thread.join()


@pytest.mark.parametrize("url", ["localhost:8501", "ftp://host", "http://", ""])
def test_a_rest_address_that_is_none(url):
    with pytest.raises(UserError, match="REST address should be http://HOST:PORT. Received: '"):
        RestTransport(url)


def test_a_task_that_is_none():
    client = ServingClient(RestTransport("http://localhost:1"), SCHEMA, "dtrn")
    with pytest.raises(UserError, match=r"`task` should be one of \['click', .*Received: 'buy'"):
        client.predict_rows([features(1)], task="buy")


def test_grpc_without_the_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis.predict_pb2", None)
    with pytest.raises(UserError, match=r"pip install 'dtrn_tf\[serving\]', or use REST"):
        GrpcTransport("localhost:8500")


def run_program(*arguments, text=""):
    """The program in a process without TensorFlow and gRPC: None makes an import fail."""
    code = ("import runpy, sys\n"
            "sys.modules.update(dict.fromkeys(['tensorflow', 'grpc', 'tensorflow_serving', "
            "'numpy']))\n"
            "runpy.run_module('export.client', run_name='__main__', alter_sys=True)")
    return subprocess.run([sys.executable, "-c", code, *arguments], input=text,
                          capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "schema.yaml"
    save_schema(SCHEMA, str(path))
    return f"--schema={path}", "--model_name=dtrn", "--request=-"


def test_the_program_speaks_rest_with_the_standard_library(flags):
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"outputs": {"click": [0.25, 0.5]}}).encode())

        def log_message(self, *_):
            """Nothing."""

    body = {"user": features(3, "request"), "candidates": [features(1, "candidate")] * 2}
    with http.server.HTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        done = run_program(*flags, f"--rest=http://localhost:{server.server_port}",
                           "--task=click", text=json.dumps(body))
        thread.join()
    assert done.stdout.splitlines() == ["row   click", "0    0.2500", "1    0.5000"], done.stderr
    assert bodies[0]["signature_name"] == "click"
    assert bodies[0]["inputs"]["item"] == [103, 103] and bodies[0]["inputs"]["age"] == [23.0]


@pytest.mark.parametrize("arguments, text, message", [
    ((), "[]", "either --rest or --grpc should say where the server is. Received: neither"),
    (("--rest=http://localhost:1",), "[", "--request should be a JSON file. Received: '-'"),
    (("--rest=http://localhost:1",), "{}", '--request should hold {"user": {...}, "candidates"'),
    (("--grpc=localhost:1",), "[]", "Remedy: pip install 'dtrn_tf[serving]'"),
])
def test_wrong_requests_are_one_clear_error(flags, arguments, text, message):
    done = run_program(*flags, *arguments, text=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr and "Traceback" not in done.stderr
