"""Gradient methods by name: from the scalar products of the tasks' gradients to their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dtrn_tf.balancing.closed_form import aligned, imtl
from dtrn_tf.balancing.min_norm import cagrad, mgda
from dtrn_tf.balancing.nash import nash
from dtrn_tf.balancing.projection import gradvac, pcgrad

Tensor = Any
GRADIENT_METHODS = ("none", "pcgrad", "gradvac", "mgda", "cagrad", "nash", "imtl", "aligned")


class GradientMethod(tf.Module):
    """Weighs the tasks' gradients on the shared weights; keeps what a method remembers.

    Args:
        name: One of `GRADIENT_METHODS` but `none`.
        num_tasks: K.
        seed: Of the random orders of PCGrad and GradVac.
        cagrad_radius: c of CAGrad.

    >>> method = GradientMethod("imtl", num_tasks=2)
    >>> [round(float(w), 4) for w in method(tf.constant([[4.0, 0.0], [0.0, 1.0]]))]
    [0.3333, 0.6667]
    """

    def __init__(self, name: str, num_tasks: int, seed: int = 0, cagrad_radius: float = 0.4
                 ) -> None:
        super().__init__()
        self._num_tasks = num_tasks
        self._seed = seed
        self._step = state(tf.zeros([], tf.int64))
        self._cosines = state(tf.zeros([num_tasks, num_tasks])) if name == "gradvac" else None
        methods: dict[str, Callable[[Tensor], Tensor]] = {
            "pcgrad": lambda gram: pcgrad(gram, self._order()),
            "gradvac": self._gradvac,
            "mgda": mgda,
            "cagrad": lambda gram: cagrad(gram, cagrad_radius),
            "nash": nash,
            "imtl": imtl,
            "aligned": aligned,
        }
        self._method = methods[name]

    def __call__(self, gram: Tensor) -> Tensor:
        """Weights of the gradients. [K, K] -> [K]"""
        return self._method(gram)

    def _order(self) -> Tensor:
        """For every task another random order of all tasks; equal after a resume. [K, K]"""
        step = self._step.assign_add(1)
        draws = tf.random.stateless_uniform([self._num_tasks, self._num_tasks],
                                            seed=tf.stack([tf.cast(self._seed, tf.int64), step]))
        return tf.argsort(draws)

    def _gradvac(self, gram: Tensor) -> Tensor:
        assert self._cosines is not None
        # The paper's rate; cosines of mini-batches vary much.
        weights, cosines = gradvac(gram, self._order(), self._cosines.read_value(), decay=1e-2)
        self._cosines.assign(cosines)
        return weights


def state(initial: Tensor) -> tf.Variable:
    """What is remembered between steps: every replica computes the same, the first one writes."""
    return tf.Variable(initial, trainable=False,
                       synchronization=tf.VariableSynchronization.ON_WRITE,
                       aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
