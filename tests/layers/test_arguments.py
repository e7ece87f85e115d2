"""The error texts of constructor arguments, and that every layer checks its own."""

import re

import pytest

from dtrn_tf import layers
from dtrn_tf.layers.arguments import check_one_of, check_rate, check_units, check_whole
from dtrn_tf.layers.conditional_transformer import ConditionalTransformer
from dtrn_tf.layers.conditional_transformer_block import ConditionalTransformerBlock
from dtrn_tf.layers.self_attention import SelfAttention


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None])
def test_whole_number_error(value):
    text = f"`num_tasks` should be a whole number >= 1. Received: {value!r}."
    with pytest.raises(ValueError, match=re.escape(text)):
        check_whole(value, 1, "num_tasks")


@pytest.mark.parametrize("value", [[], 3, "33", None])
def test_units_error(value):
    text = f"`units` should be a non-empty list of layer widths. Received: {value!r}."
    with pytest.raises(ValueError, match=re.escape(text)):
        check_units(value, "units")


def test_units_may_be_empty_where_allowed():
    assert check_units([], "units", allow_empty=True) == ()
    with pytest.raises(ValueError, match="`units` should be a list of layer widths"):
        check_units(3, "units", allow_empty=True)
    with pytest.raises(ValueError, match=re.escape("`units[1]` should be a whole number >= 1")):
        check_units([3, 0], "units", allow_empty=True)


@pytest.mark.parametrize("value", [-0.1, 1, True, "0.1", None])
def test_rate_error(value):
    text = f"`dropout` should be a number in [0, 1). Received: {value!r}."
    with pytest.raises(ValueError, match=re.escape(text)):
        check_rate(value, "dropout")


def test_choice_error():
    text = "`pooling` should be one of ['mean', 'target']. Received: 'max'."
    with pytest.raises(ValueError, match=re.escape(text)):
        check_one_of("max", ("mean", "target"), "pooling")


TABLES = {"table_rows": {"item": 5}, "feature_tables": {"item": "item"}, "width": 2}
PLE = {"num_tasks": 2, "num_task_experts": 2, "num_shared_experts": 2, "units": [3]}
MISTAKES = [
    (ConditionalTransformer, {}, {"num_blocks": 0, "num_heads": 0, "feedforward_units": 0,
                                         "dropout": 1.0}),
    (ConditionalTransformerBlock, {"num_heads": 1, "feedforward_units": 3},
     {"num_heads": 0, "feedforward_units": 0, "dropout": -0.5}),
    (layers.CustomizedGateControl, PLE, {"num_tasks": 0, "num_task_experts": 0, "units": [],
                                         "num_shared_experts": 0, "dropout": 1.0}),
    (layers.FeatureEmbedding, TABLES, {"width": 0}),
    (layers.Hypernetwork, {"num_norms": 2, "width": 3, "hidden_units": [5]},
     {"num_norms": 0, "width": 0, "hidden_units": 5, "initialization": "zero"}),
    (layers.MMoE, {"num_tasks": 2, "num_experts": 2, "units": [3]},
     {"num_tasks": 0, "num_experts": 0, "units": [], "dropout": 1.0}),
    (layers.NumericEmbedding, {}, {"width": 0}),
    (layers.PLE, PLE, {"num_tasks": 0, "num_task_experts": 0, "num_shared_experts": 0,
                       "units": [], "num_levels": 0, "dropout": 1.0}),
    (layers.ParallelDense, {"num_parallel": 2, "units": 3}, {"num_parallel": 0, "units": 0}),
    (layers.ParallelMLP, {"num_parallel": 2, "units": [3]},
     {"num_parallel": 0, "units": 3, "dropout": 1.0}),
    (SelfAttention, {}, {"num_heads": 0}),
    (layers.SequenceEmbedding, {"width": 2, "max_length": 3}, {"width": 0, "max_length": 0}),
    (layers.SharedBottom, {"units": [3]}, {"units": [], "dropout": 1.0}),
    (layers.TaskInterest, {"num_tasks": 2},
     {"num_tasks": 0, "num_heads": 0, "feedforward_units": 0, "num_blocks": 0, "pooling": "max",
      "initialization": "zero", "dropout": 1.0, "hypernetwork_units": 3}),
    (layers.TaskRefinement, {"num_tasks": 2, "hidden_units": [3]},
     {"num_tasks": 0, "hidden_units": [], "granularity": "row"}),
    (layers.TaskTowers, {"num_tasks": 2, "units": [3]},
     {"num_tasks": 0, "units": 3, "dropout": 1.0}),
]


@pytest.mark.parametrize(
    "layer, right, name, wrong",
    [(layer, right, name, wrong) for layer, right, wrongs in MISTAKES
     for name, wrong in wrongs.items()],
    ids=lambda value: getattr(value, "__name__", None) or str(value))
def test_layers_check_their_arguments(layer, right, name, wrong):
    with pytest.raises(ValueError, match=f"`{name}` should be"):
        layer(**{**right, name: wrong})
