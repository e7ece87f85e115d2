"""One optimiser for embedding tables, one for dense weights, each with its own learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.variables import shards, table_variable
from dtrn_tf.optimizers.loss_scale import LossScale
from dtrn_tf.optimizers.row_optimizer import RowOptimizer

keras = tf.keras
Tensor = Any
Gradient = Any  # tf.IndexedSlices, a tensor or None


class PairedOptimizer(tf.Module):
    """Updates embedding tables with one optimiser and dense weights with another.

    With `clip_norm` c, all gradients are multiplied by min(1, c / |g|), with |g| the norm of the
    gradient of the global batch by all dense weights together. Tables do not count in the norm:
    equal ids would have to be summed for it first, on all replicas, and what makes a gradient
    explode reaches the dense weights too. But they are scaled, so that the direction stays.

    Args:
        embedding: Optimiser of the embedding tables.
        dense: Keras optimiser of everything else; its schedule may be `counted_by`
            `embedding.steps`.
        tables: The embedding tables.
        weights: All other trainable variables.
        clip_norm: The largest norm of the dense gradient, or None: no limit.
        loss_scale: For float16; the training step multiplies the loss by it.

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
                 weights: Sequence[Any], clip_norm: float | None = None,
                 loss_scale: LossScale | None = None) -> None:
        super().__init__()
        self.embedding = embedding
        self.dense = dense
        self.loss_scale = loss_scale
        self._tables = tuple(tables)
        self._weights = tuple(weights)
        self._clip_norm = clip_norm
        # The slots exist from the start, so that the first checkpoint holds them.
        embedding.build(self._tables)
        dense.build(list(self._weights))

    @property
    def targets(self) -> list[tf.Variable]:
        """What to differentiate by, in the order in which `apply` takes the gradients."""
        return [*self._parts_of_tables(), *map(table_variable, self._weights)]

    def _parts_of_tables(self) -> list[tf.Variable]:
        return [part for table in self._tables for part in shards(table)]

    def apply(self, gradients: Sequence[Gradient]) -> None:
        """One update of every variable; under a strategy, in replica context.

        Args:
            gradients: One per variable of `targets`; None, where the loss does not depend on it,
                costs nothing for a table and is zero for a dense weight.
        """
        count = len(self.embedding.slots)
        tables = list(gradients[:count])
        dense = [tf.zeros(weight.shape) if gradient is None else tf.convert_to_tensor(gradient)
                 for weight, gradient in zip(self._weights, gradients[count:])]
        if self._clip_norm is not None and dense:
            factor = self._clip_factor(dense, self._clip_norm)
            tables, dense = scaled(tables, factor), scaled(dense, factor)
        if dense:
            self.dense.apply_gradients(list(zip(dense, self._weights)))
        # Last, because it counts the step that the schedules of both may go by.
        self.embedding.apply(tables)

    def _clip_factor(self, dense: list[Tensor], clip_norm: float) -> Tensor:
        everywhere = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, dense)
        return tf.minimum(1.0, tf.math.divide_no_nan(clip_norm, tf.linalg.global_norm(everywhere)))


def scaled(gradients: Sequence[Gradient], factor: Tensor) -> list[Gradient]:
    """Every gradient times a number.

    >>> scaled([tf.constant([2.0]), None], 3.0)[0].numpy().tolist()
    [6.0]
    """
    return [tf.IndexedSlices(g.values * factor, g.indices, g.dense_shape)
            if isinstance(g, tf.IndexedSlices) else None if g is None else g * factor
            for g in gradients]
