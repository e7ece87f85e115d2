"""One training step, and many of them in one call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.balancing import TaskBalancer, make_loss_weighting
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.optimizers.paired_optimizer import PairedOptimizer, scaled
from dtrn_tf.schema import Schema
from dtrn_tf.training.steps_done import StepsDone
from dtrn_tf.training.task_losses import gradient_products, sum_of_replicas, task_losses

Tensor = Any


class TrainStep:
    """Runs training steps of a model under a strategy.

    The loss is the sum over tasks of task weight times the weighted mean of the row losses over
    the observed rows of the global batch, whatever the number of replicas and however many rows
    each of them has: a batch of requests has as many rows as its requests have candidates.

    A step whose losses or gradients are not all finite changes no weight and ends the call. Under
    a loss scale (float16), a step whose gradients alone are not finite lowers it instead.

    Args:
        model: Called with features, gives {task: logits [B]}.
        optimizer: Holds the variables to train.
        schema: Names the tasks, their kinds and loss weights.
        strategy: Where to run.
        balancer: How much every task counts; by default its fixed loss weight. With a balancer
            that needs the gradients of single tasks, the model has `shared_weights`, on which they
            are compared, and `task_weights`, which take the loss weights alone. Embedding tables
            take the weights of the shared weights, but are too large to be compared.
        time_input: Whether to time the input; TensorFlow has no clock in deterministic graphs.
    """

    def __init__(self, model: Any, optimizer: PairedOptimizer, schema: Schema,
                 strategy: Any, balancer: TaskBalancer | None = None,
                 time_input: bool = True) -> None:
        self._model = model
        self.balancer = balancer or TaskBalancer(
            [task.weight for task in schema.tasks], make_loss_weighting("fixed", len(schema.tasks)))
        self._optimizer = optimizer
        self._tasks = schema.tasks
        self._strategy = strategy
        self._time_input = time_input
        # Without AutoGraph, which cannot read loops under Python 3.13.
        # Requests give every batch another number of rows, which should not be traced anew.
        self._run_one = tf.function(self._distributed, autograph=False, reduce_retracing=True)
        self._run_many = tf.function(self._loop, autograph=False)

    def run(self, iterator: Iterator[Any], steps: int) -> StepsDone:
        """Runs `steps` steps on the batches that `iterator` gives; every replica takes its own.

        Args:
            iterator: A `tf.data` iterator over batches of one replica each.
            steps: How many; at least 1.

        Returns:
            What they came to; fewer steps if one of them is not sound.
        """
        if self._strategy.num_replicas_in_sync == 1:
            # One graph call for all steps: Python is not asked between two of them.
            return self._run_many(iterator, tf.constant(steps))
        parts: list[Any] = []
        batch, input_seconds = None, 0.0
        while len(parts) < steps and (not parts or bool(parts[-1][2])):
            start = time.perf_counter()
            batch = self._batches(iterator)
            input_seconds += time.perf_counter() - start
            parts.append(self._run_one(batch))
        losses, rows, sound = zip(*parts)
        return StepsDone(tf.add_n(losses) / len(parts), tf.add_n(rows), tf.constant(len(parts)),
                         sound[-1], losses[-1], tf.constant(input_seconds), batch)

    def local_batches(self, done: StepsDone) -> list[Any]:
        """The last batch of some steps, one per replica of this process."""
        local = self._strategy.experimental_local_results
        count = len(local(tf.nest.flatten(done.batch)[0]))
        return [tf.nest.map_structure(lambda leaf: local(leaf)[place], done.batch)
                for place in range(count)]

    def _batches(self, iterator: Iterator[Any]) -> Any:
        """One host batch per replica; a distributed iterator could not be checkpointed."""
        return self._strategy.experimental_distribute_values_from_function(
            lambda _: next(iterator))

    def _loop(self, iterator: Any, steps: Tensor) -> StepsDone:
        def body(done: StepsDone) -> list[StepsDone]:
            batch, waited = self._next(iterator)
            losses, rows, sound = self._distributed(_packed(iterator.element_spec, batch))
            return [StepsDone(done.losses + losses, done.rows + rows, done.count + 1, sound, losses,
                              done.input_seconds + waited, batch)]

        zeros, specs = tf.zeros([len(self._tasks)]), _components(iterator.element_spec)
        start = StepsDone(
            zeros, tf.constant(0, tf.int64), tf.constant(0), tf.constant(True), zeros,
            tf.constant(0.0, tf.float64),
            [tf.zeros([size or 0 for size in spec.shape], spec.dtype) for spec in specs])
        scalar = tf.TensorShape([])
        shapes = StepsDone(zeros.shape, scalar, scalar, scalar, zeros.shape, scalar,
                           [spec.shape for spec in specs])
        (done,) = tf.while_loop(lambda done: (done.count < steps) & done.sound, body, [start],
                                [shapes])
        return done._replace(losses=done.losses / tf.cast(done.count, tf.float32),
                             batch=_packed(iterator.element_spec, done.batch))

    def _next(self, iterator: Any) -> tuple[list[Tensor], Tensor]:
        """Components of the next batch, and how long it took."""
        if not self._time_input:
            return _components(iterator.get_next()), tf.constant(float("nan"), tf.float64)
        start = tf.timestamp()
        with tf.control_dependencies([start]):
            batch = _components(iterator.get_next())
        with tf.control_dependencies(batch):
            return batch, tf.timestamp() - start

    def _distributed(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """A step on all replicas: losses [K], rows, and whether it was sound."""
        losses, rows, check, gradients = self._strategy.run(self._differentiate, args=(batch,))
        losses, rows, check = (
            self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)
            for per_replica in (losses, rows, check))
        finite_losses = tf.reduce_all(tf.math.is_finite(losses))
        scale = self._optimizer.loss_scale

        def update() -> Tensor:
            self._strategy.run(self._apply, args=(gradients,))
            if scale is not None:
                scale.keep()
            return tf.constant(True)

        def leave_out() -> Tensor:
            return tf.constant(False) if scale is None else finite_losses & scale.lower()

        return losses, rows, tf.cond(finite_losses & tf.math.is_finite(check), update, leave_out)

    def _differentiate(self, batch: Any) -> tuple[Tensor, Tensor, Tensor, list[Any]]:
        """On one replica: losses [K], rows, a number that is finite if all gradients are, these."""
        rows = tf.size(batch[2][self._tasks[0].name])
        with tf.GradientTape(persistent=self.balancer.needs_gradients) as tape:
            losses = task_losses(self._model, self._tasks, batch, training=True)
            added = self._added_losses(tf.cast(rows, tf.float32))
        gradients = self._gradients(tape, losses, added)
        check = tf.add_n([tf.reduce_sum(g.values if isinstance(g, tf.IndexedSlices) else g)
                          for g in gradients if g is not None])
        return tf.stack(losses), tf.cast(rows, tf.int64), check, gradients

    def _added_losses(self, rows: Tensor) -> list[Tensor]:
        """What layers add is a mean over the rows of this replica."""
        losses = self._model.losses
        share = rows / sum_of_replicas(rows) if losses else None
        return [loss * share for loss in losses]

    def _apply(self, gradients: list[Any]) -> None:
        # TensorFlow cannot reduce over replicas what comes from outside a branch.
        self._optimizer.apply([None if g is None else tf.identity(g) for g in gradients])

    def _gradients(self, tape: tf.GradientTape, losses: list[Tensor],
                   added: list[Tensor]) -> list[Any]:
        """Of the weighted losses and of those that layers add, one per target of the optimiser."""
        targets, everywhere = self._optimizer.targets, sum_of_replicas(tf.stack(losses))
        scale = self._optimizer.loss_scale and self._optimizer.loss_scale.value.read_value()

        def gradients(weights: Tensor) -> list[Any]:
            factor = 1.0 if scale is None else scale
            outputs = [*tf.unstack(factor * weights), *(factor * tf.ones_like(a) for a in added)]
            found = tape.gradient([*losses, *added], targets, output_gradients=outputs)
            return found if scale is None else scaled(found, 1.0 / scale)

        if not self.balancer.needs_gradients:
            return gradients(self.balancer(everywhere)[0])
        products = gradient_products(
            tape, losses, [table_variable(w) for w in self._model.shared_weights],
            1.0 if scale is None else scale)
        own, shared = map(gradients, self.balancer(everywhere, products))
        of_tasks = {id(table_variable(weight)) for weight in self._model.task_weights}
        return [mine if id(target) in of_tasks else ours
                for target, mine, ours in zip(targets, own, shared)]


def _components(structure: Any) -> Any:
    return tf.nest.flatten(structure, expand_composites=True)


def _packed(spec: Any, components: Sequence[Tensor]) -> Any:
    return tf.nest.pack_sequence_as(spec, components, expand_composites=True)
