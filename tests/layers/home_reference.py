"""HoME in plain loops: one row, module, task and expert at a time."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from reference import layer_normalization, raw


def experts(x: tf.Tensor, layer: Any, module: int) -> list[tf.Tensor]:
    """The experts of one module of NormalizedExperts, on one vector."""
    low = _times(x, layer.gate.hidden, module) + raw(layer.gate.hidden.bias)[module]
    gates = 2 * tf.sigmoid(_times(low, layer.gate.excitation, module)
                           + raw(layer.gate.excitation.bias)[module])
    outputs = []
    for number in range(module * layer.num_experts, (module + 1) * layer.num_experts):
        y = gates * x
        for dense, scale, shift in zip(layer.hidden, layer.scales, layer.shifts):
            y = layer_normalization(_times(y, dense, number), raw(scale)[number],
                                    raw(shift)[number])
            y *= tf.sigmoid(y)
        outputs.append(y)
    return outputs


def home(layer: Any, views: list[tf.Tensor]) -> list[tf.Tensor]:
    """The outputs of all tasks for one row: one view of the input per task."""
    return [_task(layer, views[k], k) for k in range(len(layer.groups))]


def _task(layer: Any, x: tf.Tensor, task: int) -> tf.Tensor:
    group, shared = layer.groups[task], layer.num_groups
    meta = [_meta(layer, x, module) for module in range(shared + 1)]
    own = experts(meta[group], layer.task_experts, task)
    sizes = [own, *(experts(meta[m], layer.common_experts, m) for m in range(shared + 1))]
    scores = _times(meta[group], layer.task_gates, task)
    output = _visible_sum(scores, sizes, {0, 1 + group, 1 + shared})
    return output + _self_sum(_times(meta[group], layer.task_self_gates, task), own)


def _meta(layer: Any, x: tf.Tensor, module: int) -> tf.Tensor:
    shared = layer.num_groups
    modules = [experts(x, layer.meta_experts, m) for m in range(shared + 1)]
    visible = set(range(shared + 1)) if module == shared else {module, shared}
    output = _visible_sum(_times(x, layer.meta_gates, module), modules, visible)
    return output + _self_sum(_times(x, layer.meta_self_gates, module), modules[module])


def _visible_sum(scores: tf.Tensor, modules: list[list[tf.Tensor]], visible: set[int]
                 ) -> tf.Tensor:
    """Gated sum over the experts of the visible modules alone: the others are left out."""
    size = len(modules[0])
    places = [m * size + e for m in sorted(visible) for e in range(size)]
    weights = tf.nn.softmax(tf.stack([scores[place] for place in places]))
    return tf.add_n([weights[i] * modules[place // size][place % size]
                     for i, place in enumerate(places)])


def _self_sum(scores: tf.Tensor, own: list[tf.Tensor]) -> tf.Tensor:
    weights = tf.nn.softmax(scores) if len(own) > 1 else tf.sigmoid(scores)
    return tf.add_n([weights[e] * expert for e, expert in enumerate(own)])


def _times(x: tf.Tensor, dense: Any, index: int) -> tf.Tensor:
    return tf.linalg.matvec(raw(dense.kernel)[index], x, transpose_a=True)
