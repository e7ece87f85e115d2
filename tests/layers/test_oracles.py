"""Networks give the probabilities of an independent implementation: oracles/README.md."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.layers import AITM, MMoE, PLE, ParallelMLP, TaskProducts, TaskTowers

NUMBERS = np.load(pathlib.Path(__file__).parent / "oracles" / "networks.npz")


def _numbers(network):
    return {key.partition("/")[2]: value for key, value in NUMBERS.items()
            if key.startswith(f"{network}/")}


def _dense(numbers, prefixes, layer):
    """Kernels [S, N, U] and biases [S, U] of dense layers that stand side by side."""
    return [np.stack([numbers[f"{prefix}.mlp.{layer}.weight"].T for prefix in prefixes]),
            np.stack([numbers[f"{prefix}.mlp.{layer}.bias"] for prefix in prefixes])]


def _perceptrons(numbers, prefixes, layers=(0, 4)):
    return [array for layer in layers for array in _dense(numbers, prefixes, layer)]


def _set_towers(towers, numbers, prefixes):
    kernel, bias = _dense(numbers, prefixes, 8)
    towers.towers.set_weights(_perceptrons(numbers, prefixes))
    towers.heads.set_weights([kernel])
    towers.bias.assign(bias[:, 0])


# The gates of that project have biases, ours have none. So an input that is always 1 is added, and
# every expert hands a 1 on to the next level: weights of gates add up to 1.

def _gates(numbers, prefixes):
    kernel, bias = _dense(numbers, prefixes, 0)
    return [np.concatenate([kernel, bias[:, np.newaxis]], axis=1)]


def _experts(numbers, prefixes, layers):
    weights = _perceptrons(numbers, prefixes, layers)
    for i in range(0, len(weights), 2):
        last = i + 2 == len(weights)
        kernel = np.pad(weights[i], [(0, 0), (0, int(i == 0)), (0, int(last))])
        weights[i:i + 2] = kernel, np.pad(weights[i + 1], [(0, 0), (0, int(last))],
                                          constant_values=1.0)
    return weights


def _set_level(level, numbers, prefix, layers):
    level.task_experts.set_weights(
        _experts(numbers, [f"{prefix}.experts_specific.{e}" for e in range(4)], layers))
    level.shared_experts.set_weights(
        _experts(numbers, [f"{prefix}.experts_shared.{e}"
                           for e in range(level.num_shared_experts)], layers))
    level.task_gates.set_weights(_gates(numbers, [f"{prefix}.gates_specific.{k}" for k in (0, 1)]))
    if level.shared_gate:
        level.stream_gate.set_weights(_gates(numbers, [f"{prefix}.gate_shared"]))


def _mmoe(numbers, x):
    layer = MMoE(2, 3, [8, 7], dtype="float64")
    x = np.pad(x, [(0, 0), (0, 0), (0, 1)], constant_values=1.0)
    layer(x)
    layer.experts.set_weights(_experts(numbers, [f"experts.{e}" for e in range(3)], (0, 4)))
    layer.gates.set_weights(_gates(numbers, ["gates.0", "gates.1"]))
    return layer(x)[..., :-1]


def _cgc(numbers, x):
    layer = PLE(2, 2, 2, [7], dtype="float64")
    x = np.pad(x, [(0, 0), (0, 0), (0, 1)], constant_values=1.0)
    layer(x)
    _set_level(layer.levels[0], numbers, "cgc_layers.0", (0,))
    return layer(x)[..., :-1]


def _ple(numbers, x):
    layer = PLE(2, 2, 1, [8, 7], num_levels=2, dtype="float64")
    x = np.pad(x, [(0, 0), (0, 0), (0, 1)], constant_values=1.0)
    layer(x)
    for number, level in enumerate(layer.levels):
        _set_level(level, numbers, f"cgc_layers.{number}", (0, 4))
    return layer(x)[..., :-1]


def _aitm(numbers, x):
    layer = AITM(2, [8, 6], dtype="float64")
    layer(x)
    layer.bottoms.set_weights(_perceptrons(numbers, ["bottoms.0", "bottoms.1"]))
    layer.handovers[0].set_weights(_dense(numbers, ["info_gates.0"], 0))
    layer.attentions[0].set_weights(
        [np.stack([numbers[f"aits.0.{which}_layer.weight"].T for which in "vkq"])])
    return layer(x)


NETWORKS = {"mmoe": _mmoe, "cgc": _cgc, "ple": _ple, "aitm": _aitm}


@pytest.mark.parametrize("name", NETWORKS)
def test_probabilities_of_two_tasks(name):
    numbers = _numbers(name)
    hidden = NETWORKS[name](numbers, numbers["x"][:, np.newaxis])
    towers = TaskTowers(2, [6, 5], dtype="float64")
    towers(hidden)
    _set_towers(towers, numbers, ["towers.0", "towers.1"])
    np.testing.assert_allclose(tf.sigmoid(towers(hidden)), numbers["out"], rtol=1e-12)


def test_the_product_of_click_and_conversion():
    """One perceptron of each task on shared embeddings, and the product of probabilities."""
    numbers = _numbers("esmm")
    x = numbers["x"][:, np.newaxis]
    network = ParallelMLP(2, [8, 6], dtype="float64")
    network(x)
    network.set_weights(_perceptrons(numbers, ["tower_ctr", "tower_cvr"]))
    towers = TaskTowers(2, [], dtype="float64")
    towers(network(x))
    kernel, bias = _dense(numbers, ["tower_ctr", "tower_cvr"], 8)
    towers.heads.set_weights([kernel])
    towers.bias.assign(bias[:, 0])
    logits = towers(network(x))
    np.testing.assert_allclose(tf.sigmoid(logits[:, ::-1]), numbers["out"][:, :2], rtol=1e-12)
    products = TaskProducts([None, 0], dtype="float64")(logits)
    np.testing.assert_allclose(tf.sigmoid(products), numbers["out"][:, 1:], rtol=1e-12)
