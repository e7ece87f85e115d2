"""Tokens of a behaviour sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.sequences import tokens_and_sequences


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class SequenceEmbedding(tf.keras.layers.Layer):
    """Makes one token per event from the embeddings of its item and side features.

    token_l = [item_l ; side_l ; ...] W + b + position(l), where the newest event has position 0.
    Counting from the newest keeps the meaning of a position when a history grows.

    Args:
        width: D, the width of a token.
        max_length: Number of learned positions; older events share the last one.
        num_slices: Every embedding and token is this many slices side by side, each projected by
            itself: slice s of a token sees slice s of the embeddings alone.

    Inputs: list of aligned embeddings, newest event last: RaggedTensors [R, (L), D'], or dense
        [R, L, D'] and event_mask [R, L] bool.
    Outputs: tokens, ragged [R, (L), D] or dense [R, L, D] like the inputs.

    Masking: positions count events only, so padding may lie on either side; padding gets finite
        tokens that later layers leave out.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = SequenceEmbedding(width=5, max_length=10)
        >>> items = tf.RaggedTensor.from_row_lengths(tf.ones([3, 7]), [2, 1])
        >>> layer([items, items.with_values(tf.ones([3, 2]))]).shape
        TensorShape([2, None, 5])
        >>> mask = tf.constant([[True, True, False], [True, False, False]])
        >>> layer([tf.ones([2, 3, 7]), tf.ones([2, 3, 2])], mask).shape
        TensorShape([2, 3, 5])
    """

    def __init__(
        self, width: int, max_length: int, num_slices: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.width = check_whole(width, 1, "width")
        self.max_length = check_whole(max_length, 1, "max_length")
        self.num_slices = check_whole(num_slices, 1, "num_slices")
        if width % num_slices:
            raise ValueError(
                f"`num_slices` should divide `width`. Received: {num_slices} and {width}."
            )

    def build(self, input_shape: Any) -> None:
        joined = sum(shape[-1] for shape in input_shape)
        if self.num_slices == 1:
            self.projection = tf.keras.layers.Dense(self.width, dtype=self.dtype_policy)
            self.projection.build((None, joined))
        else:
            self.projection = ParallelDense(
                self.num_slices, self.width // self.num_slices, dtype=self.dtype_policy
            )
            self.projection.build((None, self.num_slices, joined // self.num_slices))
        self.positions = self.add_weight(
            name="positions",
            shape=(self.max_length, self.width),
            initializer=tf.keras.initializers.RandomUniform(-0.05, 0.05),
        )
        super().build(input_shape)

    def call(
        self, inputs: Sequence[tf.Tensor | tf.RaggedTensor], event_mask: tf.Tensor | None = None
    ) -> tf.Tensor | tf.RaggedTensor:
        packed = [tokens_and_sequences(x, event_mask) for x in inputs]
        sequences = packed[0][1]
        positions = tf.minimum(sequences.newer(), self.max_length - 1)  # [N]
        events = self._project([tokens for tokens, _ in packed])  # [N, D]
        events += tf.gather(tf.convert_to_tensor(self.positions), positions)
        return sequences.unpack(events)

    def _project(self, tokens: Sequence[tf.Tensor]) -> tf.Tensor:
        """[N, D'] each -> [N, D]"""
        if self.num_slices == 1:
            return self.projection(tf.concat(tokens, -1))
        slices = [tf.reshape(x, [-1, self.num_slices, x.shape[-1] // self.num_slices])
                  for x in tokens]
        return tf.reshape(self.projection(tf.concat(slices, -1)), [-1, self.width])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "max_length": self.max_length,
            "num_slices": self.num_slices,
        }
