"""One training step, and many of them in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from dtrn_tf.balancing import TaskBalancer, make_loss_weighting
from dtrn_tf.layers.variables import table_variable
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
        balancer: How much every task counts; by default its fixed loss weight. With a balancer
            that needs the gradients of single tasks, the model has `shared_weights`, on which they
            are compared, and `task_weights`, which take the loss weights alone. Embedding tables
            take the weights of the shared weights, but are too large to be compared.
    """

    def __init__(self, model: Any, optimizer: PairedOptimizer, schema: Schema,
                 strategy: Any, balancer: TaskBalancer | None = None) -> None:
        self._model = model
        self.balancer = balancer or TaskBalancer(
            [task.weight for task in schema.tasks], make_loss_weighting("fixed", len(schema.tasks)))
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
        rows = tf.size(weights[self._tasks[0].name])
        *totals, total_rows = tf.unstack(_sum_of_replicas(tf.stack(
            [*(tf.reduce_sum(weights[task.name]) for task in self._tasks),
             tf.cast(rows, tf.float32)])))
        with tf.GradientTape(persistent=self.balancer.needs_gradients) as tape:
            logits = self._model(features, training=True)
            losses = [
                weighted_mean(LOSSES[task.kind](labels[task.name], logits[task.name]),
                              weights[task.name], total)
                for task, total in zip(self._tasks, totals)]
            # What layers add is a mean over the rows of this replica.
            added = [loss * tf.cast(rows, tf.float32) / total_rows for loss in self._model.losses]
        self._optimizer.apply(self._gradients(tape, losses, added))
        return tf.stack(losses), tf.cast(rows, tf.int64)

    def _gradients(self, tape: tf.GradientTape, losses: list[Tensor],
                   added: list[Tensor]) -> list[Any]:
        """Of the weighted losses and of those that layers add, one per target of the optimiser."""
        targets = self._optimizer.targets
        everywhere = _sum_of_replicas(tf.stack(losses))

        def gradients(weights: Tensor) -> list[Any]:
            return tape.gradient([*losses, *added], targets, output_gradients=[
                *tf.unstack(weights), *map(tf.ones_like, added)])

        if not self.balancer.needs_gradients:
            return gradients(self.balancer(everywhere)[0])
        own, shared = map(gradients, self.balancer(everywhere, self._gram(tape, losses)))
        of_tasks = {id(table_variable(weight)) for weight in self._model.task_weights}
        return [mine if id(target) in of_tasks else ours
                for target, mine, ours in zip(targets, own, shared)]

    def _gram(self, tape: tf.GradientTape, losses: list[Tensor]) -> Tensor:
        """Scalar products of the tasks' gradients on the shared dense weights. [K, K]"""
        shared = [table_variable(weight) for weight in self._model.shared_weights]
        gradients = _sum_of_replicas(tf.stack([
            tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(
                loss, shared, unconnected_gradients=tf.UnconnectedGradients.ZERO)], 0)
            for loss in losses]))  # [K, P]
        return tf.matmul(gradients, gradients, transpose_b=True)


def _sum_of_replicas(value: Tensor) -> Tensor:
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)
