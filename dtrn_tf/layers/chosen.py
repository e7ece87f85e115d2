"""Parts of what several tasks or experts have side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def chosen(values: Any, parts: Sequence[int] | None, axis: int = 0) -> tf.Tensor:
    """Of values side by side along an axis, the given ones in their order, or all (None).

    >>> chosen(tf.constant([10, 11, 12]), [2, 0]).numpy().tolist()
    [12, 10]
    """
    values = tf.convert_to_tensor(values)
    if parts is None or list(parts) == list(range(values.shape[axis])):
        return values
    return tf.gather(values, list(parts), axis=axis)
