"""A look into the model: how the tasks pull at it, and what its gates do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dtrn_tf.layers.gate_record import record_gates
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.optimizers.loss_scale import LossScale
from dtrn_tf.schema import Schema
from dtrn_tf.training.task_losses import gradient_products, task_losses

Tensor = Any


class Watched(NamedTuple):
    """What `Watch` saw on one batch.

    Args:
        norms: Of every task's gradient on the shared weights. [K]
        cosines: Of every two tasks' gradients; 0 where one of them is zero. [K, K]
        entropies: By gate: how evenly each of S mixtures uses its E experts on the average row,
            1 for all alike, 0 for a single one. {gate: [S]}
        shares: By gate: the mean gate value of every expert. {gate: [S, E]}
    """

    norms: Tensor
    cosines: Tensor
    entropies: Mapping[str, Tensor]
    shares: Mapping[str, Tensor]

    def mixture_names(self, gate: str, tasks: Sequence[str]) -> list[str]:
        """What the S mixtures of a gate are called: after their task, if each has one."""
        return list(tasks if gate.startswith("tasks") else map(
            str, range(self.entropies[gate].shape[0])))


class Watch:
    """Differentiates the tasks' losses one by one on a batch; changes nothing.

    The model is called as in inference, so that not even the random state of dropout moves: a run
    that is watched has the same weights as one that is not. One look costs a forward pass and K
    backward passes to the shared dense weights.

    Args:
        model: Gives {task: logits [B]} and has `shared_weights`.
        schema: Names the tasks.
        strategy: Where to run.
        loss_scale: That of training, for float16.
        batch_spec: Of the batches of one replica; with it, one graph serves all sizes.
    """

    def __init__(self, model: Any, schema: Schema, strategy: Any,
                 loss_scale: LossScale | None = None, batch_spec: Any = None) -> None:
        self._model = model
        self._tasks = schema.tasks
        self._strategy = strategy
        self._loss_scale = loss_scale
        known = batch_spec is not None and strategy.num_replicas_in_sync == 1
        self._look = tf.function(self._distributed, autograph=False, reduce_retracing=not known,
                                 input_signature=[batch_spec] if known else None)

    def __call__(self, batch: Any) -> Watched:
        """Looks at the model on a batch, per replica, such as that of `StepsDone`."""
        return self._look(batch)

    def _distributed(self, batch: Any) -> Watched:
        products, *gates = self._strategy.run(self._on_replica, args=(batch,))
        # Every replica has the sum over all of them.
        products = self._strategy.experimental_local_results(products)[0]
        norms = tf.sqrt(tf.linalg.diag_part(products))
        return Watched(
            norms, tf.math.divide_no_nan(products, norms[:, tf.newaxis] * norms),
            *({name: self._strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
               for name, value in per_gate.items()} for per_gate in gates))

    def _on_replica(self, batch: Any) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        scale = 1.0 if self._loss_scale is None else self._loss_scale.value.read_value()
        with tf.GradientTape(persistent=True) as tape, record_gates() as gates:
            losses = task_losses(self._model, self._tasks, batch, training=False)
        products = gradient_products(
            tape, losses, [table_variable(w) for w in self._model.shared_weights], scale)
        rows = {name: tf.cast(tf.reshape(gate, [-1, *gate.shape[-2:]]), tf.float32)
                for name, gate in gates.items()}  # [rows, S, E]
        return (products, {name: _evenness(gate) for name, gate in rows.items()},
                {name: tf.reduce_mean(gate, 0) for name, gate in rows.items()})


def _evenness(gates: Tensor) -> Tensor:
    """Mean entropy of S mixtures, as a share of its largest value, log E. [N, S, E] -> [S]"""
    entropy = -tf.reduce_sum(tf.math.xlogy(gates, gates), -1)
    largest = tf.math.log(tf.cast(gates.shape[-1], tf.float32))
    # A single expert leaves nothing to choose.
    return tf.reduce_mean(entropy, 0) / largest if gates.shape[-1] > 1 else tf.ones(gates.shape[1])
