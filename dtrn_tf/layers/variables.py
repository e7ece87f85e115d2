"""Weights that are looked up by row: their tf.Variable, in Keras 2 and Keras 3."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_MAKING_TABLE = contextvars.ContextVar("making_table", default=False)


@contextlib.contextmanager
def making_table() -> Iterator[None]:
    """What is made inside is a table: it is looked up by row, so it may be split by rows."""
    token = _MAKING_TABLE.set(True)
    try:
        yield
    finally:
        _MAKING_TABLE.reset(token)


def is_making_table() -> bool:
    """Whether the variable that is made now is a table.

    >>> is_making_table()
    False
    >>> with making_table():
    ...     is_making_table()
    True
    """
    return _MAKING_TABLE.get()


def table_variable(weight: Any) -> tf.Variable:
    """Returns the tf.Variable behind a Keras weight; in a replica, the copy of its device.

    Rows must be gathered from this variable itself: only then is the gradient IndexedSlices (the
    rows of a batch) and not a tensor as large as the table, and only then does a mirrored lookup
    read these rows and not the whole table. Keras 3 wraps the variable and gives it as the property
    `value`; a weight of Keras 2 is the variable.

    >>> table_variable(tf.Variable([1.0])).shape
    TensorShape([1])
    """
    variable = weight if isinstance(weight, tf.Variable) else weight.value
    mirrored = isinstance(variable, tf.distribute.DistributedValues)
    if not mirrored or tf.distribute.in_cross_replica_context():
        return variable
    # A mirrored variable shows the handle of the copy that belongs to this replica.
    return next(copy for copy in variable.values if copy.handle is variable.handle)


def shards(weight: Any) -> list[tf.Variable]:
    """The variables that hold a weight: one, or, of a table split over servers, one for each part.

    >>> len(shards(tf.Variable([1.0])))
    1
    """
    variable = table_variable(weight)
    return list(variable.variables) if _is_split(variable) else [variable]


def look_up(weight: Any, ids: tf.Tensor) -> tf.Tensor:
    """Rows of a table; of one that is split, only these rows leave their servers.

    Args:
        weight: A Keras weight, a tf.Variable or what `tf.gather` reads rows of. [rows, D]
        ids: Whole numbers from 0 to rows - 1. [N]

    >>> look_up(tf.Variable([[1.0], [2.0]]), tf.constant([1])).numpy().tolist()
    [[2.0]]
    """
    table = table_variable(weight)
    if _is_split(table):
        return tf.nn.embedding_lookup(table, ids)  # [N, D]
    # Not embedding_lookup: on a mirrored variable that reads the whole table.
    return tf.gather(table, ids)  # [N, D]


def _is_split(variable: Any) -> bool:
    """Whether parameter servers hold it in parts: a ShardedVariable, whose class is not public.

    It is no tf.Variable; nor is a weight in fewer bits, a tf.Module that `tf.gather` can read.
    """
    return not isinstance(variable, (tf.Variable, tf.Module))
