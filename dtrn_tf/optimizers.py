"""One optimiser for embedding tables, one for dense weights, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

keras = tf.keras
Tensor = Any

OPTIMIZER_NAMES = ("adam", "adagrad")


def make_optimizer(name: str, learning_rate: float) -> Any:
    """A Keras optimiser by name, `adam` or `adagrad`.

    Args:
        name: One of `OPTIMIZER_NAMES`.
        learning_rate: Its learning rate.

    Raises:
        ValueError: Unknown name.

    >>> float(make_optimizer("adagrad", 0.5).learning_rate)
    0.5
    """
    if name not in OPTIMIZER_NAMES:
        raise ValueError(f"`name` should be one of {OPTIMIZER_NAMES}. Received: {name!r}.")
    kinds = {"adam": keras.optimizers.Adam, "adagrad": keras.optimizers.Adagrad}
    return kinds[name](learning_rate=learning_rate)


class PairedOptimizer(tf.Module):
    """Updates embedding tables with one optimiser and dense weights with another.

    Args:
        embedding: Keras optimiser of the embedding tables.
        dense: Keras optimiser of everything else.
        tables: The embedding tables.
        weights: All other trainable variables.

    >>> table, weight = keras.Variable([1.0]), keras.Variable([1.0])
    >>> optimizer = PairedOptimizer(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.25),
    ...                             [table], [weight])
    >>> optimizer.apply([tf.constant([1.0]), tf.constant([1.0])])
    >>> float(table[0]), float(weight[0])
    (0.5, 0.75)
    """

    def __init__(self, embedding: Any, dense: Any, tables: Sequence[Any],
                 weights: Sequence[Any]) -> None:
        super().__init__()
        self.embedding = embedding
        self.dense = dense
        self._tables = tuple(tables)
        self._weights = tuple(weights)
        # The slots exist from the start, so that the first checkpoint holds them.
        if self._tables:
            embedding.build(list(self._tables))
        dense.build(list(self._weights))

    @property
    def targets(self) -> tuple[Any, ...]:
        """The variables, in the order in which `apply` takes their gradients."""
        return self._tables + self._weights

    def apply(self, gradients: Sequence[Tensor]) -> None:
        """One update of every variable; under a strategy, in replica context.

        Keras updates each slice of an id that occurs twice in a batch on its own, which is wrong
        for every optimiser that squares gradients; a dense gradient is right, and its cost is
        that of the update, which touches the whole table anyway.

        Args:
            gradients: One per variable of `targets`; sparse ones are made dense.
        """
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        count = len(self._tables)
        if count:
            self.embedding.apply_gradients(list(zip(dense[:count], self._tables)))
        self.dense.apply_gradients(list(zip(dense[count:], self._weights)))
