"""A client of TensorFlow Serving that takes plain dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema
from export.request import Column, Features, request_inputs, row_inputs

# As in `signatures`, which needs TensorFlow.
_ALL_TASKS = "serving_default"

Predictions = dict[str, list[float]]


class Transport(Protocol):
    """How a request reaches a server: `RestTransport` or `GrpcTransport`."""

    def predict(self, model: str, version: int | None, signature: str,
                inputs: Mapping[str, Column]) -> dict[str, list[Any]]: ...

    def close(self) -> None: ...


class ServingClient:
    """Asks a server for the predictions of a model.

    Args:
        transport: `RestTransport` or `GrpcTransport`.
        schema: Of the model, as it lies in the version's `assets.extra/schema.yaml`.
        model: Its name on the server.
        version: Its version; by default the one that the server prefers, usually the highest.

    Example:
        client = ServingClient(RestTransport("http://localhost:8501"), load_schema(path), "ranking")
        client.predict({"city": "Paris", "liked_item": [7, 9]}, [{"item": 3}, {"item": 5}])
        # {"click": [0.21, 0.34], "order": [0.02, 0.05]}
    """

    def __init__(self, transport: Transport, schema: Schema, model: str,
                 version: int | None = None) -> None:
        self.transport = transport
        self.schema = schema
        self.model = model
        self.version = version

    def predict(self, user: Features, candidates: Sequence[Features], *, task: str | None = None,
                repeat_user: bool = False) -> Predictions:
        """Probabilities (values of a regression) of one user's candidates.

        Args:
            user: Features of level request and sequences, by their names of the schema.
            candidates: For each the features of level candidate.
            task: Only this task, which costs less; by default all.
            repeat_user: For servers that merge requests; see `request_inputs`.

        Returns:
            {task: [B]}: tasks in the order of the schema, values in that of the candidates.

        Raises:
            UserError: A feature is missing, unknown or of the wrong type, or there is no such task.
            ServingError: The server gave no predictions.
        """
        return self._call(task, request_inputs(self.schema, user, candidates,
                                               repeat_user=repeat_user))

    def predict_rows(self, rows: Sequence[Features], *, task: str | None = None) -> Predictions:
        """Predictions {task: [B]} of rows that have nothing in common; errors as `predict`."""
        return self._call(task, row_inputs(self.schema, rows))

    def close(self) -> None:
        """Closes the connection."""
        self.transport.close()

    def _call(self, task: str | None, inputs: Mapping[str, Column]) -> Predictions:
        if task is not None and task not in self.schema.task_names:
            raise UserError(f"`task` should be one of {list(self.schema.task_names)}. "
                            f"Received: {task!r}.")
        outputs = self.transport.predict(self.model, self.version, task or _ALL_TASKS, inputs)
        return {name: outputs[name] for name in self.schema.task_names if name in outputs}
