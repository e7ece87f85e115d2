"""Training steps that workers do on weights that parameter servers hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dtrn_tf.training.interruption import Interrupted
from dtrn_tf.training.step import TrainStep
from dtrn_tf.training.steps_done import StepsDone


class WorkersInput(tf.Module):
    """An iterator for each worker over batches of its own; its position is not in a checkpoint.

    Args:
        coordinator: The chief's.
        workers: How many there are.
        make_dataset: Makes the dataset of a worker by the worker's number; computed there.
    """

    def __init__(self, coordinator: Any, workers: int,
                 make_dataset: Callable[[tf.Tensor], tf.data.Dataset]) -> None:
        super().__init__()
        with coordinator.strategy.scope():
            started = tf.Variable(0, dtype=tf.int64, trainable=False)

        def of_worker() -> tf.data.Dataset:
            # All workers run the same function: who comes next takes the next number.
            return make_dataset((started.assign_add(1) - 1) % workers)

        self.per_worker = iter(coordinator.create_per_worker_dataset(of_worker))


class ServedStep(TrainStep):
    """Shares the steps of a call among the workers, each of which takes batches of its own.

    Every worker reads the weights, differentiates and updates them, one step after the other, and
    does not wait for the others within a call. What a step reads may be older than what it updates.
    A worker that is gone is waited for, or another one does its steps. Servers must not go.

    Args:
        coordinator: The chief's.
        workers: How many there are.
        arguments: Those of `TrainStep`.
    """

    def __init__(self, *arguments: Any, coordinator: Any, workers: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._coordinator = coordinator
        self._workers = workers

    def run(self, iterator: Any, steps: int) -> StepsDone:
        """As of `TrainStep`, with a `WorkersInput`."""
        shares = [steps // self._workers + (worker < steps % self._workers)
                  for worker in range(self._workers)]
        try:
            calls = [self._coordinator.schedule(self._run_many, args=(iterator.per_worker,
                                                                      tf.constant(share)))
                     for share in shares if share]
            self._coordinator.join()
            return _together([call.get() for call in calls])
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise Interrupted("a parameter server is gone; wait until all have ended") from error

    def _apply(self, gradients: list[Any]) -> None:
        super()._apply(gradients)
        # Keras reads its count and writes it back, so that counts of other workers get lost.
        self._optimizer.dense.iterations.assign(self._optimizer.embedding.steps.read_value())


def _together(parts: list[StepsDone]) -> StepsDone:
    """Of several calls; if one of them has an unsound step, that is the last one."""
    last = next((part for part in parts if not part.sound), parts[-1])
    counts = [tf.cast(part.count, tf.float32) for part in parts]
    losses = tf.add_n([part.losses * count for part, count in zip(parts, counts)])
    return last._replace(
        losses=losses / tf.add_n(counts), rows=tf.add_n([part.rows for part in parts]),
        count=tf.add_n([part.count for part in parts]),
        input_seconds=tf.reduce_max([part.input_seconds for part in parts]))
