"""The training loop: steps, evaluations, checkpoints, best model, early stopping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from dtrn_tf.layers.variables import table_variable
from dtrn_tf.training.bad_batch import bad_step_error
from dtrn_tf.training.checkpoints import Checkpoints
from dtrn_tf.training.cluster import Cluster
from dtrn_tf.training.interruption import Interrupted
from dtrn_tf.training.reporter import Reporter, Results
from dtrn_tf.training.run_directory import RunDirectory
from dtrn_tf.training.selection import Selection
from dtrn_tf.training.step import TrainStep
from dtrn_tf.training.steps_done import StepsDone
from dtrn_tf.training.trained_state import trained_state
from dtrn_tf.training.watch import Watch


class Trainer:
    """Trains until the last step or until no evaluation is better any more.

    A checkpoint holds model, optimisers, step, input iterator, selection and the random states of
    dropout, so that a run that was killed goes on from its last checkpoint as if nothing happened.

    Args:
        model: The Keras model; built.
        step: Runs the steps.
        optimizer: Part of the checkpoint.
        iterator: Checkpointable iterator over training batches, of one replica each; endless.
        evaluate: Gives {task: {metric: value}} of the model on the validation records.
        selection: Decides which evaluation is the best.
        run: Where everything is written.
        total_steps: When to end.
        eval_every: Steps between evaluations.
        checkpoint_every: Steps between checkpoints, besides those at evaluations.
        steps_per_call: Steps that run in one call of the graph.
        cluster: The processes that train together; by default this one.
        watch: Looks into the model now and then, or None.
        watch_every: Steps between two looks.
        stop_requested: Whether to save and end before the next call.
    """

    def __init__(self, *, model: Any, step: TrainStep, optimizer: Any, iterator: Iterator[Any],
                 evaluate: Callable[[], Results], selection: Selection, run: RunDirectory,
                 total_steps: int, eval_every: int, checkpoint_every: int = 1000,
                 steps_per_call: int = 20, cluster: Cluster | None = None,
                 watch: Watch | None = None, watch_every: int = 1000,
                 stop_requested: Callable[[], bool] = lambda: False) -> None:
        self.model = model
        self.optimizer = optimizer
        self._train_step = step
        self._iterator = iterator
        self._evaluate = evaluate
        self._selection = selection
        self._run = run
        self._cluster = cluster or Cluster(tf.distribute.get_strategy())
        self._watch = watch
        self._watch_every = watch_every
        self._stop_requested = stop_requested
        self._rows = 0
        self._total_steps = total_steps
        self._eval_every = eval_every
        self._checkpoint_every = checkpoint_every
        self._steps_per_call = steps_per_call
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoints = Checkpoints(run.file("checkpoints"), dict(
            **trained_state(model, optimizer), balancer=step.balancer, step=self._step,
            selection=selection, random_states=_random_states(model)),
            own=dict(iterator=iterator), cluster=self._cluster)

    def restore(self) -> int:
        """Goes on from the last whole checkpoint, if there is one; returns the step."""
        self._checkpoints.restore()
        return int(self._step)

    def train(self) -> dict[str, float]:
        """Trains to the end.

        Returns:
            Steps done, the best step, and seconds and examples/s of this process; an example is
            an impression, or a candidate of a request.

        Raises:
            UserError: The loss or its gradient is not finite; the batch is kept.
            Interrupted: A stop was requested; the state is saved.
        """
        start, first = time.time(), int(self._step)
        writer = (tf.summary.create_file_writer(self._run.file("tensorboard"))
                  if self._cluster.is_chief else tf.summary.create_noop_writer())
        with writer.as_default(), tqdm(total=self._total_steps, initial=first, unit=" steps",
                                       desc="training", mininterval=1.0,
                                       disable=not self._cluster.is_chief) as progress:
            reporter = Reporter(self.model.schema.task_names, progress)
            while int(self._step) < self._total_steps and not self._ends():
                self._advance(reporter)
        self._checkpoints.save(int(self._step))
        seconds = time.time() - start
        return {"steps": int(self._step), "best_step": self._selection.best_step,
                "seconds": round(seconds, 1), "examples_per_second": round(self._rows / seconds)}

    def _ends(self) -> bool:
        """Whether no evaluation is better any more; only the chief knows its own evaluations."""
        over = self._selection.should_stop
        if not self._cluster.any(over or self._stop_requested()):
            return False
        if not self._cluster.any(over):
            self._checkpoints.save(int(self._step))
            raise Interrupted(f"asked to end (SIGTERM), after step {int(self._step)} of "
                              f"{self._total_steps}, which is saved")
        return True

    def _advance(self, reporter: Reporter) -> None:
        """Runs until the next evaluation, checkpoint or end of a call, then does what is due."""
        step = int(self._step)
        until = min(step + self._steps_per_call, self._total_steps,
                    *(step - step % every + every
                      for every in (self._eval_every, self._checkpoint_every, self._watch_every)))
        start = time.perf_counter()
        done = self._train_step.run(self._iterator, until - step)
        if not done.sound:
            raise bad_step_error(self._run, self.model.schema.task_names, done,
                                 step + int(done.count), self._bad_batches(done))
        self._step.assign(until)
        self._rows += int(done.rows)
        reporter.steps(done, until, time.perf_counter() - start)
        reporter.balance(self._train_step.balancer, until)
        if self._watch is not None and until % self._watch_every == 0:
            reporter.watched(self._watch(done.batch), until)
        if until % self._eval_every == 0 or until == self._total_steps:
            self._evaluate_now(until, reporter)
        elif until % self._checkpoint_every == 0:
            self._checkpoints.save(until)

    def _bad_batches(self, done: StepsDone) -> dict[str, Any]:
        """By what to add to the name of the file: nothing where there is one replica in all."""
        batches = self._train_step.local_batches(done)
        if len(batches) * self._cluster.size == 1:
            return {"": batches[0]}
        first = self._cluster.index * len(batches)
        return {f".replica-{first + place}": batch for place, batch in enumerate(batches)}

    def _evaluate_now(self, step: int, reporter: Reporter) -> None:
        if self._cluster.is_chief:
            self._select(step, reporter)
        # After the best model is safe: a run killed between the two evaluates once more.
        self._checkpoints.save(step)

    def _select(self, step: int, reporter: Reporter) -> None:
        results = self._evaluate()
        better = self._selection.update(results, step)
        if better:
            self._run.save_best(self.model, {"step": step, "valid": results})
        reporter.evaluation(results, step, better)


def _random_states(model: Any) -> list[tf.Variable]:
    """Keras counts the state of dropout among the variables, but leaves it out of checkpoints."""
    weights = {id(weight) for weight in model.weights}
    return [table_variable(v) for v in model.variables if id(v) not in weights]
