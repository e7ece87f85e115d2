"""Weights that are looked up by row: their tf.Variable, in Keras 2 and Keras 3."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


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
