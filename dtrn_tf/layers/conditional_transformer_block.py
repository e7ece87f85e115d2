"""One block of the conditional Transformer."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_whole
from dtrn_tf.layers.conditional_layer_normalization import ConditionalLayerNormalization, normalize
from dtrn_tf.layers.last_axis import on_last_axis
from dtrn_tf.layers.self_attention import SelfAttention

_EPSILON = 1e-6


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ConditionalTransformerBlock(tf.keras.layers.Layer):
    """Post-LN Transformer block with shared weights and conditional layer normalizations.

    a = CLN_1(x + SelfAttention(x)); y = CLN_2(a + relu(a W_1 + b_1) W_2 + b_2).

    If x is one representation for all tasks (J = 1), attention and mean and variance of CLN_1 are
    computed once, and the first feed-forward product takes the normalized n = (x - mean) / std:
    (gamma_k * n + beta_k) W_1 = n (diag(gamma_k) W_1) + beta_k W_1, one product with a
    [D, K * units] matrix instead of one per task. The result is the same.

    Args:
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer.
        dropout: Dropout rate of the attention and feed-forward outputs.

    Inputs: x [B, L, J, D] with J = 1 or K; mask [B, L] bool; gamma and beta [K, 2, D].
    Outputs: [B, L, K, D].

    Masking: as `SelfAttention`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> layer = ConditionalTransformerBlock(num_heads=1, feedforward_units=7)
        >>> x, mask = tf.ones([2, 3, 1, 5]), tf.ones([2, 3], tf.bool)
        >>> layer(x, mask, tf.ones([4, 2, 5]), tf.zeros([4, 2, 5])).shape
        TensorShape([2, 3, 4, 5])
    """

    def __init__(
        self, num_heads: int, feedforward_units: int, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = check_whole(num_heads, 1, "num_heads")
        self.feedforward_units = check_whole(feedforward_units, 1, "feedforward_units")
        self.dropout_rate = check_rate(dropout, "dropout")

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.attention = SelfAttention(self.num_heads, dtype=self.dtype_policy)
        self.attention.build(input_shape)
        self.hidden_kernel = self.add_weight(
            name="hidden_kernel",
            shape=(width, self.feedforward_units),
            initializer=tf.keras.initializers.GlorotUniform(),
        )
        self.hidden_bias = self.add_weight(
            name="hidden_bias", shape=(self.feedforward_units,), initializer="zeros"
        )
        self.feedforward_output = tf.keras.layers.Dense(width, dtype=self.dtype_policy)
        self.feedforward_output.build((None, self.feedforward_units))
        self.attention_dropout, self.feedforward_dropout = (
            tf.keras.layers.Dropout(self.dropout_rate, dtype=self.dtype_policy) for _ in range(2)
        )
        self.normalization = ConditionalLayerNormalization(_EPSILON, dtype=self.dtype_policy)
        super().build(input_shape)

    def call(
        self,
        inputs: tf.Tensor,
        mask: tf.Tensor,
        gamma: tf.Tensor,
        beta: tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        gamma, beta = tf.cast(gamma, inputs.dtype), tf.cast(beta, inputs.dtype)
        attention = self.attention_dropout(self.attention(inputs, mask), training=training)
        normalized = normalize(inputs + attention, _EPSILON)  # [B, L, J, D]
        attended = gamma[:, 0] * normalized + beta[:, 0]  # [B, L, K, D]
        if inputs.shape[2] == 1:
            hidden = self._shared_hidden(normalized, gamma[:, 0], beta[:, 0])
        else:
            hidden = tf.einsum("blkd,dn->blkn", attended, self.hidden_kernel) + self.hidden_bias
        outputs = on_last_axis(self.feedforward_output, tf.nn.relu(hidden))  # [B, L, K, D]
        outputs = self.feedforward_dropout(outputs, training=training)
        return self.normalization(attended + outputs, gamma[:, 1], beta[:, 1])

    def _shared_hidden(
        self, normalized: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tf.Tensor:
        kernel = tf.einsum("kd,dn->dkn", gamma, self.hidden_kernel)
        bias = tf.einsum("kd,dn->kn", beta, self.hidden_kernel) + self.hidden_bias
        return tf.einsum("bld,dkn->blkn", tf.squeeze(normalized, 2), kernel) + bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feedforward_units": self.feedforward_units,
            "dropout": self.dropout_rate,
        }
