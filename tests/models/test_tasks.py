"""A model that computes some tasks alone: the same logits, and fewer operations."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from test_networks import NETWORKS, SCHEMA, TASKS, _inputs, _stem

from dtrn_tf import layers
from dtrn_tf.models import DTRN


class Foreign(tf.keras.layers.Layer):
    """A network that was not made for this: it gives all tasks."""

    def call(self, inputs, training=None):
        return tf.cumsum(tf.repeat(inputs, 3 // inputs.shape[1], axis=1), axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 3, input_shape[2])


def _dtrn(network, **options):
    options = {"interest": layers.TaskInterest(3), "refinement": layers.TaskRefinement(3, (4,)),
               "tower_units": (5,), "wide": True, **options}
    return DTRN(SCHEMA, network=network, embedding_width=6, **options)


MODELS = {
    **{name: lambda make=make: _dtrn(make()) for name, make in NETWORKS.items()},
    "stem": _stem,
    "shared_bottom": lambda: _dtrn(layers.SharedBottom((7,)), interest=None),
    "mmoe, element": lambda: _dtrn(layers.MMoE(3, 2, (7,)),
                                   refinement=layers.TaskRefinement(3, (4,), "element")),
    "ple, target": lambda: _dtrn(layers.PLE(3, 2, 1, (7,), num_levels=2), refinement=None,
                                 interest=layers.TaskInterest(3, pooling="target")),
    "agnostic": lambda: _dtrn(layers.MMoE(3, 2, (7,)), refinement=None,
                              interest=layers.TaskInterest(1)),
    "products": lambda: _dtrn(layers.MMoE(3, 2, (7,)), interest=None,
                              task_order=layers.TaskProducts([None, 2, 0])),
    "calibrator": lambda: _dtrn(layers.AITM(3, (7,)), task_order=layers.OrderCalibrator(0.5)),
    "foreign": lambda: _dtrn(Foreign()),
}


@pytest.mark.parametrize("name", MODELS)
def test_some_tasks_have_the_logits_that_they_have_among_all(name):
    model, inputs = MODELS[name](), _inputs(7)
    every = model(inputs)
    for tasks in itertools.chain(*(itertools.permutations(TASKS, n) for n in (1, 2))):
        logits = model(inputs, tasks=tasks)
        assert tuple(logits) == tasks
        for task, values in logits.items():
            np.testing.assert_allclose(values, every[task], rtol=1e-5, atol=1e-6)


def _products(graph):
    """Floating-point operations of all matrix products, functions of a call included."""
    total = 0
    for op in graph.get_operations():
        if op.type in ("MatMul", "BatchMatMulV2"):
            left = op.inputs[0].shape.as_list()
            inner = left[-2] if op.get_attr(
                "transpose_a" if op.type == "MatMul" else "adj_x") else left[-1]
            total += 2 * inner * int(np.prod(op.outputs[0].shape.as_list()))
    return total


# A third of all that comes behind the first attention, which all tasks share.
@pytest.mark.parametrize("name", ["separate", "cgc", "pepnet", "mmoe, element", "home"])
def test_one_task_costs_less_than_all(name):
    model = MODELS[name]()
    model.build()
    specs = {key: tf.TensorSpec([32, *value.shape[1:]], value.dtype)
             for key, value in _inputs(7).items()}

    def products(tasks):
        function = tf.function(lambda inputs: model(inputs, training=False, tasks=tasks))
        return _products(function.get_concrete_function(specs).graph)

    assert products(TASKS[1:2]) < 0.5 * products(TASKS)


def test_of_a_chain_the_first_task_needs_no_other():
    model, inputs = MODELS["calibrator"](), _inputs(7)
    specs = {key: tf.TensorSpec(value.shape, value.dtype) for key, value in inputs.items()}
    model.build()
    counts = [_products(tf.function(
        lambda values, task=task: model(values, tasks=[task])).get_concrete_function(specs).graph)
        for task in TASKS]
    assert counts[0] < counts[1] < counts[2]


def test_representations_are_what_the_network_takes():
    model, inputs = MODELS["mmoe, element"](), _inputs(7)
    found = model.representations(inputs)
    assert found["bottom"].shape == (7, 3, 3, 6) and found["interests"].shape == (7, 3, 1, 6)
    assert SCHEMA.field_names == ["age", "clicked", "item"]
    hidden = model.network(tf.reshape(found["bottom"], [7, 3, 18]))
    wide = model.wide({"item": inputs["item"]})["item"]
    logits = model.towers(hidden) + wide
    for number, values in enumerate(model(inputs).values()):
        np.testing.assert_allclose(logits[:, number], values, rtol=1e-5)
    # Without a stage that tells tasks apart there is one for all; without refinement, interests
    # are fields as they are.
    plain = MODELS["agnostic"]().representations(inputs)
    assert plain["bottom"].shape == (7, 1, 3, 6)
    np.testing.assert_array_equal(plain["bottom"][:, :, 1], plain["interests"][:, :, 0])
