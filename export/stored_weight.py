"""A weight in fewer bits than float32, made float32 again where it is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.errors import UserError

FORMATS = ("float32", "bfloat16", "float16", "int8")
_LARGEST_INT8 = 127.0


class StoredWeight(tf.Module):
    """A weight W [..., N] as W itself in 16 bits, or as whole numbers with one scale per row:

        int8: q = round(W / s), s = max_n |W_n| / 127,  W is read as q s

    Args:
        values: W, float32.
        format: `bfloat16`, `float16` or `int8`.
        name: Of the weight, for errors.

    Raises:
        UserError: A value is out of the format's range.

    Example:
        >>> weight = StoredWeight(np.float32([[0.5, -1.27], [0.0, 0.0]]), "int8", "table")
        >>> weight.read().numpy().tolist() == [[0.5, -1.2699999809265137], [0.0, 0.0]]
        True
    """

    def __init__(self, values: np.ndarray, format: str, name: str) -> None:
        super().__init__()
        stored, self.scales = values, None
        if format == "int8":
            scales = np.max(np.abs(values), axis=-1, keepdims=True) / np.float32(_LARGEST_INT8)
            scales = np.where(scales > 0.0, scales, np.float32(1.0))  # A row of zeros.
            stored = np.round(values / scales)
            self.scales = tf.Variable(scales, trainable=False, name=f"{name}_scales")
        self.values = tf.Variable(tf.cast(stored, format), trainable=False, name=name)
        if not np.isfinite(self.read().numpy()).all():
            raise UserError(f"weight {name!r} should be finite in {format}. Received: values up to "
                            f"{np.max(np.abs(values)):.3g}. Remedy: --weights=bfloat16.")

    def read(self) -> tf.Tensor:
        """The whole weight in float32."""
        scales = None if self.scales is None else tf.convert_to_tensor(self.scales)
        return _float32(tf.convert_to_tensor(self.values), scales)

    def sparse_read(self, indices: Any, name: str | None = None) -> tf.Tensor:
        """Some rows in float32: what `tf.gather` calls, so the rest of a table is not touched."""
        scales = None if self.scales is None else self.scales.sparse_read(indices)
        return _float32(self.values.sparse_read(indices, name=name), scales)

    @property
    def value(self) -> StoredWeight:
        """Itself, as a weight of Keras 3 gives its variable."""
        return self

    @property
    def num_bytes(self) -> int:
        """Its size on disk and in memory."""
        return sum(variable.shape.num_elements() * variable.dtype.size
                   for variable in (self.values, self.scales) if variable is not None)


def _float32(values: tf.Tensor, scales: tf.Tensor | None) -> tf.Tensor:
    values = tf.cast(values, tf.float32)
    return values if scales is None else values * scales
