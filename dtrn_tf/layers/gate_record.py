"""What gates over experts said, for those who watch a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import tensorflow as tf

_RECORD: ContextVar[dict[str, tf.Tensor] | None] = ContextVar("gate_record", default=None)


@contextmanager
def record_gates() -> Iterator[dict[str, tf.Tensor]]:
    """Collects the gates of all calls of layers inside.

    Yields:
        {name: gates [..., S, E]}, filled by the calls; a second gate of a name, as in the next
        level of PLE, gets a number.

    >>> from dtrn_tf.layers import MMoE
    >>> with record_gates() as gates:
    ...     _ = MMoE(num_tasks=3, num_experts=2, units=[4])(tf.ones([5, 1, 7]))
    >>> {name: value.shape for name, value in gates.items()}
    {'tasks': TensorShape([5, 3, 2])}
    """
    record: dict[str, tf.Tensor] = {}
    token = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(token)


def noted(gates: tf.Tensor, name: str) -> tf.Tensor:
    """Returns the gates of S mixtures over E experts, and notes them if somebody records.

    Args:
        gates: Sum to 1 over the experts. [..., S, E]
        name: `tasks` for gates of which every task has one.
    """
    record = _RECORD.get()
    if record is not None:
        number = sum(key.partition("_")[0] == name for key in record)
        record[f"{name}_{number + 1}" if number else name] = gates
    return gates
