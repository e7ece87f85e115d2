"""Plain loops, one row, task, behaviour, head and expert at a time, that the layers must equal.

Padding is not masked here but left out, so that equality also shows that it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.layers.sequences import PackedSequences, PaddedSequences


def raw(weight: Any) -> tf.Tensor:
    return tf.convert_to_tensor(weight)


def normal(*shape: int, seed: int = 0) -> tf.Tensor:
    """Random float64 numbers: references are compared in double precision."""
    return tf.constant(np.random.default_rng(seed).normal(size=shape))


def randomize(layer: Any, seed: int = 0) -> None:
    """Replaces every weight, biases too, by random numbers."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape, scale=0.7) for w in layer.get_weights()])


def assert_equal_with_gradients(first: Callable[[], Any], second: Callable[[], Any],
                                sources: Sequence[Any]) -> None:
    """Both give equal values, and equal gradients of a random sum of them."""
    results = []
    for function in (first, second):
        with tf.GradientTape() as tape:
            tape.watch([x for x in sources if isinstance(x, tf.Tensor)])
            values = tf.convert_to_tensor(function())
            factors = np.random.default_rng(5).normal(size=values.shape)
            loss = tf.reduce_sum(values * tf.cast(factors, values.dtype))
        gradients = tape.gradient(loss, list(sources), unconnected_gradients="zero")
        results.append((values, [tf.convert_to_tensor(g) for g in gradients]))
    (values, gradients), (expected, expected_gradients) = results
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-9)
    for i, (gradient, wanted) in enumerate(zip(gradients, expected_gradients)):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6, atol=1e-8, err_msg=f"source {i}")
        assert np.any(wanted), f"source {i} is not used by the reference"


def lay_out(kind: str, x: tf.Tensor, lengths: Sequence[int]
            ) -> tuple[tf.Tensor, Any, Callable[[tf.Tensor], tf.Tensor]]:
    """[S, L, ...] as tokens [N, ...], their sequences, and a function that picks the events."""
    mask = tf.sequence_mask(lengths, x.shape[1])
    if kind == "packed":
        return (tf.boolean_mask(x, mask), PackedSequences(tf.constant(np.cumsum([0, *lengths]))),
                lambda tokens: tokens)
    return (tf.reshape(x, [-1, *x.shape[2:]]), PaddedSequences(mask),
            lambda tokens: tf.boolean_mask(tokens, tf.reshape(mask, [-1])))


def assert_all_different(*kernels: Any) -> None:
    """No two slices along the first axis of the kernels are equal."""
    slices = [one.ravel() for kernel in kernels for one in raw(kernel).numpy()]
    for i, one in enumerate(slices):
        for other in slices[:i]:
            assert np.isclose(one, other).mean() < 0.5


def dense(x: tf.Tensor, layer: Any) -> tf.Tensor:
    y = tf.linalg.matvec(raw(layer.kernel), x, transpose_a=True)
    return y if layer.bias is None else y + raw(layer.bias)


def mlp(x: tf.Tensor, layer: Any, index: int) -> tf.Tensor:
    """Perceptron `index` of a ParallelMLP on one vector."""
    for hidden in layer.hidden:
        x = tf.linalg.matvec(raw(hidden.kernel)[index], x, transpose_a=True)
        x = tf.nn.relu(x + raw(hidden.bias)[index])
    return x


def gate(x: tf.Tensor, layer: Any, index: int) -> tf.Tensor:
    return tf.nn.softmax(tf.linalg.matvec(raw(layer.kernel)[index], x, transpose_a=True))


def layer_normalization(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """On one vector."""
    mean = tf.reduce_sum(x) / x.shape[0]
    variance = tf.reduce_sum((x - mean) ** 2) / x.shape[0]
    return gamma * (x - mean) / tf.sqrt(variance + 1e-6) + beta


def self_attention(x: tf.Tensor, layer: Any) -> tf.Tensor:
    """On one sequence [L, D], head by head and position by position."""
    query, key, value = (x @ kernel for kernel in tf.unstack(raw(layer.projections.kernel)))
    width = x.shape[1] // layer.num_heads
    rows = []
    for position in range(x.shape[0]):
        heads = []
        for head in range(layer.num_heads):
            columns = slice(head * width, (head + 1) * width)
            scores = tf.linalg.matvec(key[:, columns], query[position, columns]) / width ** 0.5
            weights = tf.nn.softmax(scores)
            heads.append(tf.linalg.matvec(value[:, columns], weights, transpose_a=True))
        rows.append(dense(tf.concat(heads, 0), layer.output_projection))
    return tf.stack(rows)


def transformer_block(x: tf.Tensor, layer: Any, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    """On one sequence [L, D], for one task and behaviour."""
    attention = self_attention(x, layer.attention)
    rows = []
    for position in range(x.shape[0]):
        a = layer_normalization(x[position] + attention[position], gamma[0], beta[0])
        hidden = tf.linalg.matvec(raw(layer.hidden_kernel), a, transpose_a=True)
        hidden = tf.nn.relu(hidden + raw(layer.hidden_bias))
        y = a + dense(hidden, layer.feedforward_output)
        rows.append(layer_normalization(y, gamma[1], beta[1]))
    return tf.stack(rows)


def transformer(x: tf.Tensor, layer: Any, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
    for i, block in enumerate(layer.blocks):
        x = transformer_block(x, block, gamma[2 * i:2 * i + 2], beta[2 * i:2 * i + 2])
    return x


def hypernetwork(task: tf.Tensor, behavior: tf.Tensor, layer: Any) -> tuple[tf.Tensor, tf.Tensor]:
    x = tf.concat([task, behavior], 0)
    for hidden in layer.perceptron[:-1]:
        x = tf.nn.relu(dense(x, hidden))
    gamma, beta = tf.unstack(
        tf.reshape(dense(x, layer.perceptron[-1]), [2, layer.num_norms, layer.width]))
    return (gamma + 1 if layer.initialization == "identity" else gamma), beta


def pool(x: tf.Tensor, layer: Any, target: tf.Tensor | None = None) -> tf.Tensor:
    """[L, D] -> [D]; with a target, attention."""
    if target is None:
        return tf.reduce_sum(x, 0) / x.shape[0]
    query = dense(target, layer.query)
    weights = tf.nn.softmax(tf.linalg.matvec(x, query) / x.shape[1] ** 0.5)
    return tf.linalg.matvec(x, weights, transpose_a=True)


def task_interest(layer: Any, sequences: Sequence[tf.Tensor], masks: Sequence[np.ndarray],
                  target: tf.Tensor | None = None) -> tf.Tensor:
    """[B, K, T, D]"""
    num_rows, num_behaviors = sequences[0].shape[0], len(sequences)

    def interest(b: int, k: int, t: int) -> tf.Tensor:
        if not masks[t][b].any():
            return raw(layer.no_history)[k, t]
        gamma, beta = hypernetwork(raw(layer.task_embeddings)[k], raw(layer.behavior_embeddings)[t],
                                   layer.hypernetwork)
        events = tf.boolean_mask(sequences[t][b], masks[t][b])
        encoded = transformer(events, layer.transformer, gamma, beta)
        return pool(encoded, layer.pool, None if target is None else target[b])

    return tf.stack([[[interest(b, k, t) for t in range(num_behaviors)]
                      for k in range(layer.num_tasks)] for b in range(num_rows)])


def customized_gate_control(layer: Any, tasks: Sequence[tf.Tensor], stream: Sequence[tf.Tensor]
                            ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """On one row: K task inputs and K views of the shared stream."""
    num_own, num_shared = layer.num_task_experts, layer.num_shared_experts
    num_tasks = layer.num_tasks
    own = [[mlp(tasks[k], layer.task_experts, k * num_own + e) for e in range(num_own)]
           for k in range(num_tasks)]
    outputs, streams = [], []
    for k in range(num_tasks):
        shared = [mlp(stream[k], layer.shared_experts, e) for e in range(num_shared)]
        g = gate(tasks[k], layer.task_gates, k)
        outputs.append(tf.add_n([g[i] * expert for i, expert in enumerate(own[k] + shared)]))
        if layer.shared_gate:
            g = gate(stream[k], layer.stream_gate, 0)
            every = [expert for experts in own for expert in experts] + shared
            streams.append(tf.add_n([g[i] * expert for i, expert in enumerate(every)]))
    return outputs, streams
