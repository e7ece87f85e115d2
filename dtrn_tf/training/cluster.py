"""The processes that train together, and what they must agree on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from dtrn_tf.training.interruption import Interrupted

# What is left of a collective operation when a process of the cluster is gone.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.DeadlineExceededError)


class Cluster:
    """This process among those that train together; one process is a cluster too.

    All processes call the methods in the same order: each waits for the others.

    Args:
        strategy: Says which processes there are.

    Attributes:
        index: Which one this is; 0 is the chief, the only one that writes the run's files.
        size: How many there are.

    >>> cluster = Cluster(tf.distribute.OneDeviceStrategy("/cpu:0"))
    >>> cluster.index, cluster.size, cluster.any(True), cluster.all(True)
    (0, 1, True, True)
    """

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self.index, self.size = _place(strategy.cluster_resolver)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def any(self, mine: bool) -> bool:
        """Whether a process says so."""
        if self.size == 1:
            return mine
        return int(self._sum(tf.constant(int(mine)))) > 0

    def all(self, mine: bool) -> bool:
        """Whether every process says so."""
        return not self.any(not mine)

    def wait(self) -> None:
        """Until every process is here."""
        self.any(False)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What runs inside ends with `Interrupted` when another process is gone."""
        try:
            yield
        except _LOST as error:
            if self.size == 1:
                raise
            raise Interrupted(
                "another process of the cluster is gone; wait until all have ended") from error

    @tf.function(autograph=False)
    def _sum(self, value: Any) -> Any:
        per_replica = self._strategy.run(tf.identity, args=(value,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, per_replica, axis=None)


def _place(resolver: Any) -> tuple[int, int]:
    """Number of this process and of all; a chief comes before the workers."""
    jobs = resolver.cluster_spec().as_dict() if resolver else {}
    if not jobs:
        return 0, 1
    chiefs = len(jobs.get("chief", []))
    before = chiefs if resolver.task_type == "worker" else 0
    return before + resolver.task_id, chiefs + len(jobs.get("worker", []))
