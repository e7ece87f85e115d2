"""Predictions over TensorFlow Serving's REST interface, with the standard library alone."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from dtrn_tf.errors import UserError
from export.request import Column
from export.serving_error import serving_error


class RestTransport:
    """Calls `POST URL/v1/models/MODEL[/versions/VERSION]:predict`, in the columnar form.

    Args:
        url: `http://HOST:PORT` or `https://...`, of the server's --rest_api_port.
        timeout: Seconds to wait for an answer.

    Raises:
        UserError: The URL is none.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"the REST address should be http://HOST:PORT. Received: {url!r}.")
        connection = (http.client.HTTPSConnection if parts.scheme == "https"
                      else http.client.HTTPConnection)
        self._connect = lambda: connection(parts.netloc, timeout=timeout)
        self._path = parts.path.rstrip("/")
        self._url, self._timeout = url, timeout

    def predict(self, model: str, version: int | None, signature: str,
                inputs: Mapping[str, Column]) -> dict[str, list[Any]]:
        """Calls one signature: {output: [B]}.

        Raises:
            ServingError: The server gave no predictions.
        """
        body = json.dumps({"signature_name": signature, "inputs": {
            name: _json_values(column.rows) for name, column in inputs.items()}})
        part = "" if version is None else f"/versions/{version}"
        path = f"{self._path}/v1/models/{urllib.parse.quote(model)}{part}:predict"
        status, answer = self._post(path, body, model)
        if status != 200:
            raise serving_error("not_found" if status == 404 else "rejected", self._url, model,
                                f"{status}, {answer.get('error', answer)}")
        outputs = answer["outputs"]
        # TensorFlow Serving leaves out the name of an output that is the only one.
        return outputs if isinstance(outputs, dict) else {signature: outputs}

    def close(self) -> None:
        """There is nothing to close: each call has a connection of its own."""

    def _post(self, path: str, body: str, model: str) -> tuple[int, dict[str, Any]]:
        connection = self._connect()
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except TimeoutError as error:
            raise serving_error("timeout", self._url, model,
                                f"nothing in {self._timeout:g} s") from error
        except OSError as error:
            raise serving_error("unavailable", self._url, model, str(error)) from error
        except (http.client.HTTPException, json.JSONDecodeError) as error:
            raise serving_error("rejected", self._url, model,
                                f"no JSON: {type(error).__name__}") from error
        finally:
            connection.close()


def _json_values(value: Any) -> Any:
    if isinstance(value, list):
        return [_json_values(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
