"""One optimiser for embedding tables, one for dense weights, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.variables import table_variable
from dtrn_tf.optimizers.row_optimizer import RowOptimizer

keras = tf.keras
Tensor = Any


class PairedOptimizer(tf.Module):
    """Updates embedding tables with one optimiser and dense weights with another.

    Args:
        embedding: Optimiser of the embedding tables.
        dense: Keras optimiser of everything else; its schedule may be `counted_by`
            `embedding.steps`.
        tables: The embedding tables.
        weights: All other trainable variables.

    >>> from dtrn_tf.optimizers import RowwiseAdagrad
    >>> table, weight = keras.Variable([[0.0], [1.0]]), keras.Variable([1.0])
    >>> optimizer = PairedOptimizer(RowOptimizer(RowwiseAdagrad(), 0.5), keras.optimizers.SGD(0.25),
    ...                             [table], [weight])
    >>> optimizer.apply([tf.IndexedSlices(tf.constant([[7.0]]), tf.constant([1])),
    ...                  tf.constant([1.0])])
    >>> float(table[1, 0]), float(weight[0])
    (0.5, 0.75)
    """

    def __init__(self, embedding: RowOptimizer, dense: Any, tables: Sequence[Any],
                 weights: Sequence[Any]) -> None:
        super().__init__()
        self.embedding = embedding
        self.dense = dense
        self._tables = tuple(tables)
        self._weights = tuple(weights)
        # The slots exist from the start, so that the first checkpoint holds them.
        embedding.build(self._tables)
        dense.build(list(self._weights))

    @property
    def targets(self) -> list[tf.Variable]:
        """What to differentiate by, in the order in which `apply` takes the gradients."""
        return [table_variable(variable) for variable in self._tables + self._weights]

    def apply(self, gradients: Sequence[tf.IndexedSlices | Tensor | None]) -> None:
        """One update of every variable; under a strategy, in replica context.

        Args:
            gradients: One per variable of `targets`; None, where the loss does not depend on it,
                costs nothing for a table and is zero for a dense weight.
        """
        count = len(self._tables)
        dense = [tf.zeros(weight.shape) if gradient is None else tf.convert_to_tensor(gradient)
                 for weight, gradient in zip(self._weights, gradients[count:])]
        if dense:
            self.dense.apply_gradients(list(zip(dense, self._weights)))
        # Last, because it counts the step that the schedules of both may go by.
        self.embedding.apply(gradients[:count])
