"""The Transformer whose normalizations depend on task and behaviour type."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_whole
from dtrn_tf.layers.conditional_transformer_block import ConditionalTransformerBlock


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

    Inputs: x [B, L, D]; mask [B, L] bool; gamma and beta [K, 2 * num_blocks, D].
    Outputs: [B, L, K, D].

    Masking: no position looks at padding; values at padding positions are finite.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = ConditionalTransformer(num_blocks=2, num_heads=1, feedforward_units=7)
        >>> x, mask = tf.ones([2, 3, 5]), tf.ones([2, 3], tf.bool)
        >>> layer(x, mask, gamma=tf.ones([3, 4, 5]), beta=tf.zeros([3, 4, 5])).shape
        TensorShape([2, 3, 3, 5])

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
        for block in self.blocks:
            block.build((None, None, 1, input_shape[-1]))
        super().build(input_shape)

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        gamma: tf.Tensor,
        beta: tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        outputs = inputs[:, :, tf.newaxis]  # [B, L, 1, D]
        for i, block in enumerate(self.blocks):
            norms = slice(2 * i, 2 * i + 2)
            outputs = block(
                outputs, mask, gamma[:, norms], beta[:, norms], training=training
            )  # [B, L, K, D]
        return outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_blocks": self.num_blocks,
            "num_heads": self.num_heads,
            "feedforward_units": self.feedforward_units,
            "dropout": self.dropout_rate,
        }
