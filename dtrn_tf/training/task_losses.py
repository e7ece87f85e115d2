"""Losses of a batch, one per task, and the products of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.losses import LOSSES, weighted_mean
from dtrn_tf.schema import Task

Tensor = Any


def task_losses(model: Any, tasks: Sequence[Task], batch: Any, *, training: bool) -> list[Tensor]:
    """This replica's part of every task's mean loss over the observed rows of the global batch.

    Args:
        model: Called with features, gives {task: logits [B]}.
        tasks: K tasks of the schema.
        batch: Features, labels {task: [B]} and weights {task: [B]}.
        training: Whether dropout and the like are on.

    Returns:
        K scalars; summed over the replicas, they are the means.
    """
    features, labels, weights = batch
    # Every replica divides by the weight of the whole batch, so that sums are means.
    totals = sum_of_replicas(tf.stack([tf.reduce_sum(weights[task.name]) for task in tasks]))
    logits = model(features, training=training)
    return [weighted_mean(LOSSES[task.kind](labels[task.name], logits[task.name]),
                          weights[task.name], total)
            for task, total in zip(tasks, tf.unstack(totals))]


def gradient_products(tape: tf.GradientTape, losses: Sequence[Tensor], variables: Sequence[Any],
                      scale: Tensor | float = 1.0) -> Tensor:
    """Scalar products of the tasks' gradients, over the global batch.

    Args:
        tape: Persistent; has recorded the losses.
        losses: What `task_losses` gave. [K]
        variables: Dense ones, by which to differentiate.
        scale: What the losses are multiplied by on the way back, so that float16 does not lose
            small gradients; the products are those without it.

    Returns:
        g_i . g_j. [K, K]
    """
    if not variables:  # All frozen.
        return tf.zeros([len(losses)] * 2)
    gradients = sum_of_replicas(tf.stack([
        tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(
            loss, variables, output_gradients=scale * tf.ones_like(loss),
            unconnected_gradients=tf.UnconnectedGradients.ZERO)], 0)
        for loss in losses])) / scale  # [K, P]
    return tf.matmul(gradients, gradients, transpose_b=True)


def sum_of_replicas(value: Tensor) -> Tensor:
    """The sum over all replicas; in replica context."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)
