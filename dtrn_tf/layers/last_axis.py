"""A dense layer on the last axis of a tensor of any rank."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def on_last_axis(dense: Any, inputs: tf.Tensor) -> tf.Tensor:
    """Applies a Dense layer as one product of two matrices. [..., N] -> [..., U]

    Some versions of Keras (3.12) hand all axes to tf.matmul. In TensorFlow 2.21 with oneDNN, its
    gradient writes outside its memory when the shape varies from call to call, as L does.

    >>> on_last_axis(tf.keras.layers.Dense(2), tf.ones([3, 5, 7, 4])).shape
    TensorShape([3, 5, 7, 2])
    """
    outputs = dense(tf.reshape(inputs, [-1, inputs.shape[-1]]))
    shape = tf.concat([tf.shape(inputs)[:-1], [dense.units]], axis=0)
    return tf.ensure_shape(tf.reshape(outputs, shape), [*inputs.shape[:-1], dense.units])
