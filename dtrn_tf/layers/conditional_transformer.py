"""The Transformer whose normalizations depend on task and behaviour type."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_whole
from dtrn_tf.layers.conditional_layer_normalization import scale_and_shift
from dtrn_tf.layers.conditional_transformer_block import ConditionalTransformerBlock
from dtrn_tf.layers.sequences import Sequences


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ConditionalTransformer(tf.keras.layers.Layer):
    """Encodes one behaviour sequence for all tasks at once (TIM of DTRN).

    The weights are shared by tasks and behaviour types; only gamma and beta of the normalizations
    differ. Tasks part at the first normalization: all before it is computed once.

    Args:
        num_blocks: Number of blocks, each with two normalizations.
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer of every block.
        dropout: Dropout rate of the attention and feed-forward outputs.

    Inputs: x [N, D], the tokens of `sequences`; gamma and beta [K, 2 * num_blocks, D].
    Outputs: [N, K, D], before scale and shift of the last normalization.

    Masking: no token looks at padding; values of padding are finite.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> from dtrn_tf.layers.sequences import PackedSequences
        >>> layer = ConditionalTransformer(num_blocks=2, num_heads=1, feedforward_units=7)
        >>> sequences = PackedSequences(tf.constant([0, 2, 6]))
        >>> layer(tf.ones([6, 5]), sequences=sequences, gamma=tf.ones([3, 4, 5]),
        ...       beta=tf.zeros([3, 4, 5])).shape
        TensorShape([6, 3, 5])

    References:
        Deep Task-specific Bottom Representation Network for Multi-Task Recommendation,
        arXiv 2308.05996.
    """

    def __init__(
        self,
        num_blocks: int = 1,
        num_heads: int = 1,
        feedforward_units: int = 32,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_blocks = check_whole(num_blocks, 1, "num_blocks")
        self.num_heads = check_whole(num_heads, 1, "num_heads")
        self.feedforward_units = check_whole(feedforward_units, 1, "feedforward_units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        self.blocks = [
            ConditionalTransformerBlock(
                self.num_heads,
                self.feedforward_units,
                self.dropout_rate,
                dtype=self.dtype_policy,
            )
            for _ in range(self.num_blocks)
        ]
        for i, block in enumerate(self.blocks):
            block.build((None, 1 if i == 0 else None, input_shape[-1]))
        super().build(input_shape)

    def call(
        self,
        inputs: tf.Tensor,
        sequences: Sequences,
        gamma: tf.Tensor,
        beta: tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        outputs = inputs[:, tf.newaxis]  # [N, 1, D]
        for i, block in enumerate(self.blocks):
            if i > 0:
                outputs = scale_and_shift(outputs, gamma[:, 2 * i - 1], beta[:, 2 * i - 1])
            outputs = block(
                outputs, sequences=sequences, gamma=gamma[:, 2 * i], beta=beta[:, 2 * i],
                training=training,
            )  # [N, K, D]
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_blocks": self.num_blocks,
            "num_heads": self.num_heads,
            "feedforward_units": self.feedforward_units,
            "dropout": self.dropout_rate,
        }
