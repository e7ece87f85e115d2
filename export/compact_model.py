"""A trained model whose weights are stored in fewer bits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.layers import FeatureEmbedding
from export.folding import MAX_BYTES
from export.stored_weight import StoredWeight

# What is smaller stays float32: every signature would get a constant of it. All tables are stored.
MIN_VALUES = MAX_BYTES // 4 + 1


class CompactModel:
    """Calls a model with stored weights in the place of its own.

    Rows of a table become float32 behind their lookup, dense weights where a call reads them. The
    model's own weights are rounded to the same values: it is the reference for verification.

    Args:
        model: A Keras model; its weights are changed.
        format: `bfloat16`, `float16` or `int8`.
        min_values: Dense weights with fewer values stay float32.

    Raises:
        UserError: A weight is out of the format's range.
    """

    def __init__(self, model: Any, format: str, min_values: int = MIN_VALUES) -> None:
        self._model = model
        self._layers = [layer for layer in model.layers if isinstance(layer, FeatureEmbedding)]
        tables = [table for layer in self._layers for table in layer.tables.values()]
        dense = [weight for weight in model.weights
                 if not any(weight is table for table in tables)
                 and np.prod(weight.shape) >= min_values and len(weight.shape) > 1]
        self.float32_bytes = sum(4 * int(np.prod(weight.shape)) for weight in model.weights)
        self._stored = {id(weight): StoredWeight(np.asarray(weight), format, weight.name)
                        for weight in (*tables, *dense)}
        for weight in (*tables, *dense):
            weight.assign(self._stored[id(weight)].read())
        self._dense = dense
        # Only what is called is saved: the variables must live as long as the signatures.
        self.num_bytes = self.float32_bytes + sum(
            self._stored[id(weight)].num_bytes - 4 * int(np.prod(weight.shape))
            for weight in (*tables, *dense))

    def __call__(self, inputs: Mapping[str, Any], **arguments: Any) -> Any:
        with self._stored_weights():
            return self._model(inputs, **arguments)

    def representations(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """As the model's."""
        with self._stored_weights():
            return self._model.representations(inputs)

    @property
    def interest(self) -> Any:
        """As the model's."""
        return self._model.interest

    @contextlib.contextmanager
    def _stored_weights(self) -> Iterator[None]:
        """Every weight reads what is stored of it."""
        own = [layer.tables for layer in self._layers]
        values = [(weight, self._stored[id(weight)].read()) for weight in self._dense]
        try:
            for layer, tables in zip(self._layers, own):
                layer.tables = {name: self._stored[id(table)] for name, table in tables.items()}
            with tf.keras.StatelessScope(state_mapping=values):
                yield
        finally:
            for layer, tables in zip(self._layers, own):
                layer.tables = tables
