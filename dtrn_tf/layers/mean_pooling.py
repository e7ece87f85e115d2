"""Mean over the events of a sequence."""

from __future__ import annotations

import tensorflow as tf

from dtrn_tf.layers.sequences import Sequences


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class MeanPooling(tf.keras.layers.Layer):
    """Averages the tokens of each sequence.

    Inputs: values [N, J, D] with J = 1 or K, the tokens of `sequences`.
    Outputs: [S, J, D].

    Masking: padding changes nothing; a sequence without any event gives zeros.

    Example:
        >>> from dtrn_tf.layers.sequences import PackedSequences
        >>> sequences = PackedSequences(tf.constant([0, 2, 3]))
        >>> values = tf.constant([[[2.0]], [[4.0]], [[9.0]]])
        >>> MeanPooling()(values, sequences=sequences).numpy().tolist()
        [[[3.0]], [[9.0]]]
    """

    def call(self, inputs: tf.Tensor, sequences: Sequences) -> tf.Tensor:
        views, width = inputs.shape[1:]
        sums = sequences.sum(tf.reshape(inputs, [-1, views * width]))
        counts = tf.cast(tf.maximum(sequences.lengths, 1), sums.dtype)
        return tf.reshape(sums / counts[:, tf.newaxis], [-1, views, width])  # [S, J, D]
