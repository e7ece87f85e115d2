"""Updates of embedding tables whose cost depends on the batch and not on the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.variables import shards, table_variable

Tensor = Any


class RowOptimizer(tf.Module):
    """Updates the rows of embedding tables that a batch looked up, and no others.

    Per table and step: the gradients of equal ids are summed, the rows of these ids and of their
    slot are read, `rule` gives the new ones, and they are written over the old ones in place.

        row <- row - learning_rate * (rule(gradient) + weight_decay * row)

    Rows are set, not subtracted from: TensorFlow copies whole rows on the CPU, but subtracts them
    4 to 10 times slower (measured). On a GPU, too, a step takes as long with 5 million rows as with
    10 thousand (benchmarks/README.md).

    Row 0, padding, is never updated. A table without a gradient costs nothing; a dense gradient
    updates every row of its table.

    Args:
        rule: How a row follows from its gradient, `LazyAdam` or `RowwiseAdagrad`.
        learning_rate: Learning rate of all tables, or a function of the number of steps done.
        weight_decay: Decoupled (as in AdamW), and only of the rows that are updated anyway.

    Example:
        >>> from dtrn_tf.optimizers import RowwiseAdagrad
        >>> table = tf.Variable([[0.0], [0.0], [1.0], [1.0]])
        >>> optimizer = RowOptimizer(RowwiseAdagrad(), learning_rate=0.5)
        >>> optimizer.build([table])
        >>> ids = tf.constant([2, 0, 2])
        >>> optimizer.apply([tf.IndexedSlices(tf.constant([[3.0], [9.0], [1.0]]), ids)])
        >>> table.numpy().ravel().tolist()
        [0.0, 0.0, 0.5, 1.0]
    """

    def __init__(self, rule: Any, learning_rate: float | Callable[[Tensor], Tensor],
                 weight_decay: float = 0.0) -> None:
        super().__init__()
        self._rule = rule
        self._learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._tables: tuple[Any, ...] = ()
        # Whether row 0 of a table is padding; the later parts of a split table have none.
        self._padded: tuple[bool, ...] = ()
        self.slots: tuple[tf.Variable, ...] = ()
        # Updates since this optimiser was made, and those before, which warm slots remember.
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.steps_before = tf.Variable(0, dtype=tf.int64, trainable=False)

    def build(self, tables: Sequence[Any]) -> None:
        """Makes the slots, all zero; under a strategy, in its scope.

        Each part of a table that is split over servers counts as a table of its own.

        Args:
            tables: Keras weights or `tf.Variable`s. [rows, D]
        """
        split = [shards(table) for table in tables]
        self._padded = tuple(number == 0 for parts in split for number in range(len(parts)))
        self._tables = tuple(part for table, parts in zip(tables, split)
                             for part in (parts if len(parts) > 1 else [table]))
        self.slots = tuple(map(self._slot, self._tables))

    def _slot(self, table: Any) -> tf.Variable:
        zeros = tf.zeros((table.shape[0], self._rule.slot_width(table.shape[1])))
        strategy = tf.distribute.get_strategy()
        if not isinstance(strategy, tf.distribute.ParameterServerStrategy):
            return tf.Variable(zeros, trainable=False)
        # On the server of its table, so that an update stays there; never split again.
        with strategy.extended.colocate_vars_with(table_variable(table)):
            return tf.Variable(zeros, trainable=False)

    def apply(self, gradients: Sequence[tf.IndexedSlices | Tensor | None]) -> None:
        """One update; under a strategy, in replica context: replicas' gradients are summed.

        Args:
            gradients: One per table, of `table_variable(table)`; of a split table one per part.
        """
        context = tf.distribute.get_replica_context()
        parts = [(None, None) if gradient is None else _ids_and_rows(gradient)
                 for gradient in gradients]
        if context.num_replicas_in_sync > 1:
            # Each device sums its own first, so that there is less to exchange.
            parts = [part if part[0] is None else _sum_equal_ids(*part) for part in parts]
        context.merge_call(self._update, args=([ids for ids, _ in parts],
                                               [rows for _, rows in parts]))

    def _update(self, strategy: Any, ids: Sequence[Any], rows: Sequence[Any]) -> None:
        """Sums once for all replicas, so that their rows stay equal bit for bit."""
        rate = self._learning_rate
        rate = rate(self.steps) if callable(rate) else rate
        # In double precision: 1 - 0.999^t of a float is 6e-5 off at the start.
        step = tf.cast(self.steps.assign_add(1) + self.steps_before, tf.float64)
        scale = tf.cast(tf.cast(rate, tf.float64) * self._rule.scale(step), tf.float32)
        for table, slot, padded, *parts in zip(self._tables, self.slots, self._padded, ids, rows):
            if parts[0] is not None:
                summed = _sum_equal_ids if padded else _sum_without_padding
                distinct, sums = summed(*(_of_all(strategy, part) for part in parts))
                strategy.extended.update(table_variable(table), self._update_rows,
                                         args=(slot, distinct, sums, scale, rate))

    def _update_rows(self, table: tf.Variable, slot: tf.Variable, ids: Tensor,
                     gradient: Tensor, scale: Tensor, rate: float | Tensor) -> None:
        rows = _read(table, ids)  # [N, D]
        step, new_slot = self._rule(gradient, _read(slot, ids))
        new_rows = rows - scale * step
        if self._weight_decay:
            new_rows -= rate * self._weight_decay * rows
        _write(slot, ids, new_slot)
        _write(table, ids, new_rows)


def _ids_and_rows(gradient: tf.IndexedSlices | Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(gradient, tf.IndexedSlices):
        return gradient.indices, gradient.values
    return tf.range(tf.shape(gradient)[0]), gradient


def _of_all(strategy: Any, part: Any) -> Tensor:
    """What all replicas have, as much as each has, in the same order on every worker."""
    local = strategy.experimental_local_results(part)
    if strategy.num_replicas_in_sync > len(local):
        return strategy.gather(part, axis=0)
    return tf.concat(local, 0)


def _sum_equal_ids(ids: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Every id but padding once, and the sum of its rows. [N], [N, D] -> [M], [M, D]"""
    # `unique` keeps the order, so that id 0 gets place 0 here and -1 below: sums leave it out.
    distinct, places = tf.unique(tf.concat([tf.zeros(1, ids.dtype), ids], 0))
    return distinct[1:], tf.math.unsorted_segment_sum(
        rows, places[1:] - 1, tf.size(distinct) - 1)


def _sum_without_padding(ids: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Every id once, 0 too, and the sum of its rows. [N], [N, D] -> [M], [M, D]"""
    distinct, sums = _sum_equal_ids(ids + 1, rows)
    return distinct - 1, sums


def _read(variable: tf.Variable, ids: Tensor) -> Tensor:
    """Rows of this device's copy; `tf.gather` would read all of a mirrored variable."""
    return tf.raw_ops.ResourceGather(resource=variable.handle, indices=ids, dtype=variable.dtype)


def _write(variable: tf.Variable, ids: Tensor, rows: Tensor) -> None:
    tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=ids, updates=rows)
