import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.layers import PLE, STEM, HoME, MMoE
from dtrn_tf.layers.gate_record import record_gates

SHAPES = {
    "mmoe": (lambda: MMoE(3, 5, (4,)), {"tasks": (3, 5)}),
    "ple": (lambda: PLE(3, 2, 1, (4,), num_levels=3), {
        "tasks": (3, 3), "stream": (1, 7), "tasks_2": (3, 3), "stream_2": (1, 7),
        "tasks_3": (3, 3)}),
    "stem": (lambda: STEM(3, 2, 1, (4,), slice_width=2), {"tasks": (3, 7)}),
    "home": (lambda: HoME((0, 1, 0), 2, (4,), 3), {"groups": (3, 6), "tasks": (3, 8)}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_gate_over_experts_is_noted(name):
    make, shapes = SHAPES[name]
    layer, inputs = make(), tf.random.stateless_normal([11, 1, 16], (1, 2))
    outputs = layer(inputs)
    with record_gates() as gates:
        np.testing.assert_array_equal(layer(inputs), outputs)
    assert {gate: tuple(value.shape[-2:]) for gate, value in gates.items()} == shapes
    for value in gates.values():
        np.testing.assert_allclose(tf.reduce_sum(value, -1), 1.0, rtol=1e-5)


def test_nothing_is_kept_outside():
    layer = MMoE(3, 5, (4,))
    with record_gates() as gates:
        pass
    layer(tf.ones([2, 1, 7]))
    assert not gates
