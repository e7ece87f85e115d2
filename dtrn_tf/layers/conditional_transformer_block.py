"""One block of the conditional Transformer."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_rate, check_whole
from dtrn_tf.layers.conditional_layer_normalization import normalize, scale_and_shift
from dtrn_tf.layers.last_axis import on_last_axis
from dtrn_tf.layers.self_attention import SelfAttention
from dtrn_tf.layers.sequences import Sequences

_EPSILON = 1e-6


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class ConditionalTransformerBlock(tf.keras.layers.Layer):
    """Post-LN Transformer block with shared weights and conditional layer normalizations.

    a = CLN_1(x + SelfAttention(x)); y = CLN_2(a + relu(a W_1 + b_1) W_2 + b_2).

    The result is the y of every task before scale and shift of CLN_2, which whoever uses it
    applies: pooled values are far fewer than tokens.

    If x is one representation for all tasks (J = 1), attention and mean and variance of CLN_1 are
    computed once, and the products that follow take the normalized n = (x - mean) / std:
    (gamma_k * n + beta_k) W_1 = n (diag(gamma_k) W_1) + beta_k W_1, one product with a
    [D, K * units] matrix instead of one per task. The result is the same.

    Args:
        num_heads: H; divides D.
        feedforward_units: Width of the hidden layer.
        dropout: Dropout rate of the attention and feed-forward outputs.

    Inputs: x [N, J, D] with J = 1 or K, the tokens of `sequences`; gamma and beta of CLN_1 [K, D].
    Outputs: [N, K, D], normalized.

    Masking: as `SelfAttention`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> from dtrn_tf.layers.sequences import PackedSequences
        >>> layer = ConditionalTransformerBlock(num_heads=1, feedforward_units=7)
        >>> sequences = PackedSequences(tf.constant([0, 2, 6]))
        >>> layer(tf.ones([6, 1, 5]), sequences=sequences, gamma=tf.ones([4, 5]),
        ...       beta=tf.zeros([4, 5])).shape
        TensorShape([6, 4, 5])
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
        super().build(input_shape)

    def call(
        self,
        inputs: tf.Tensor,
        sequences: Sequences,
        gamma: tf.Tensor,
        beta: tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        gamma, beta = tf.cast(gamma, inputs.dtype), tf.cast(beta, inputs.dtype)
        attention = self.attention(inputs, sequences=sequences)
        attention = self.attention_dropout(attention, training=training)
        normalized = normalize(inputs + attention, _EPSILON)  # [N, J, D]
        attended, hidden = self._attended_and_hidden(normalized, gamma, beta)
        outputs = on_last_axis(self.feedforward_output, tf.nn.relu(hidden))  # [N, K, D]
        outputs = self.feedforward_dropout(outputs, training=training)
        return normalize(attended + outputs, _EPSILON)

    def _attended_and_hidden(
        self, normalized: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """a = gamma * n + beta [N, K, D], and a W_1 + b_1 [N, K, U]."""
        kernel, bias = tf.convert_to_tensor(self.hidden_kernel), self.hidden_bias
        if normalized.shape[1] > 1:
            attended = scale_and_shift(normalized, gamma, beta)
            flat = tf.reshape(attended, [-1, kernel.shape[0]])
            hidden = _affine(flat, kernel, bias)
            return attended, tf.reshape(hidden, [-1, gamma.shape[0], self.feedforward_units])
        flat = tf.squeeze(normalized, 1)
        folded_kernel = gamma[:, :, tf.newaxis] * kernel  # [K, D, U]
        folded_bias = tf.matmul(beta, kernel) + bias  # [K, U]
        return (_all_tasks(flat, tf.linalg.diag(gamma), beta),
                _all_tasks(flat, folded_kernel, folded_bias))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "feedforward_units": self.feedforward_units,
            "dropout": self.dropout_rate,
        }


def _all_tasks(inputs: tf.Tensor, kernels: tf.Tensor, biases: tf.Tensor) -> tf.Tensor:
    """One product with the kernels of all tasks side by side. [N, D], [K, D, U] -> [N, K, U]"""
    num_tasks, width, units = kernels.shape
    kernel = tf.reshape(tf.transpose(kernels, [1, 0, 2]), [width, num_tasks * units])
    return tf.reshape(_affine(inputs, kernel, biases), [-1, num_tasks, units])


def _affine(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(inputs, kernel), tf.reshape(bias, [-1]))
