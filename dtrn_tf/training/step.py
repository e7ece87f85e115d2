"""One training step, and many of them in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from dtrn_tf.losses import LOSSES, weighted_mean
from dtrn_tf.optimizers import PairedOptimizer
from dtrn_tf.schema import Schema

Tensor = Any


class TrainStep:
    """Runs training steps of a model under a strategy.

    The loss is the sum over tasks of task weight times the weighted mean of the row losses over
    the observed rows of the global batch, whatever the number of replicas and however many rows
    each of them has: a batch of requests has as many rows as its requests have candidates.

    Args:
        model: Called with features, gives {task: logits [B]}.
        optimizer: Holds the variables to train.
        schema: Names the tasks, their kinds and loss weights.
        strategy: Where to run.
    """

    def __init__(self, model: Any, optimizer: PairedOptimizer, schema: Schema,
                 strategy: Any) -> None:
        self._model = model
        self._optimizer = optimizer
        self._tasks = schema.tasks
        self._strategy = strategy
        # Without AutoGraph, which cannot read loops under Python 3.13.
        # Requests give every batch another number of rows, which should not be traced anew.
        self._run_one = tf.function(self._distributed, autograph=False, reduce_retracing=True)
        self._run_many = tf.function(self._loop, autograph=False)

    def run(self, iterator: Iterator[Any], steps: int) -> tuple[Tensor, Tensor]:
        """Runs `steps` steps on the batches that `iterator` gives; every replica takes its own.

        Args:
            iterator: A `tf.data` iterator over batches of one replica each.
            steps: How many; at least 1.

        Returns:
            Mean loss per task over these steps [K], and the number of their rows.
        """
        if self._strategy.num_replicas_in_sync == 1:
            # One graph call for all steps: Python is not asked between two of them.
            losses, rows = self._run_many(iterator, tf.constant(steps))
        else:
            parts = [self._run_one(self._batches(iterator)) for _ in range(steps)]
            losses, rows = map(tf.add_n, zip(*parts))
        return losses / steps, rows

    def _batches(self, iterator: Iterator[Any]) -> Any:
        """One host batch per replica; a distributed iterator could not be checkpointed."""
        return self._strategy.experimental_distribute_values_from_function(
            lambda _: next(iterator))

    def _loop(self, iterator: Any, steps: Tensor) -> tuple[Tensor, Tensor]:
        def body(step: Tensor, losses: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            more_losses, more_rows = self._distributed(iterator.get_next())
            return step + 1, losses + more_losses, rows + more_rows

        start = tf.constant(0), tf.zeros([len(self._tasks)]), tf.constant(0, tf.int64)
        return tf.while_loop(lambda step, *_: step < steps, body, start)[1:]

    def _distributed(self, batch: Any) -> tuple[Tensor, Tensor]:
        return tuple(self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
                     for per_replica in self._strategy.run(self._step, args=(batch,)))

    def _step(self, batch: Any) -> tuple[Tensor, Tensor]:
        features, labels, weights = batch
        # Every replica divides by the weight of the whole batch, so that sums are means.
        totals = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM,
            tf.stack([tf.reduce_sum(weights[task.name]) for task in self._tasks]))
        with tf.GradientTape() as tape:
            logits = self._model(features, training=True)
            losses = tf.stack([
                weighted_mean(LOSSES[task.kind](labels[task.name], logits[task.name]),
                              weights[task.name], total)
                for task, total in zip(self._tasks, tf.unstack(totals))])
            loss = tf.reduce_sum(losses * tf.constant([task.weight for task in self._tasks]))
            for added in self._model.losses:
                loss += added / self._strategy.num_replicas_in_sync
        self._optimizer.apply(tape.gradient(loss, self._optimizer.targets))
        return losses, tf.size(weights[self._tasks[0].name], tf.int64)
