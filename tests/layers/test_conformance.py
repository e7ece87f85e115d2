"""Every public layer through the conformance harness."""

import functools

import pytest
import tensorflow as tf
from conformance import check_layer

from dtrn_tf import layers

SEQUENCE = tf.TensorSpec([None, None, 6])
MASK = tf.TensorSpec([None, None], tf.bool)
IDS = tf.TensorSpec([None], tf.int32)
NORMS = tf.TensorSpec([3, 2, 6])

# name -> (constructor, arguments of the call); more than one where options change the weights.
CASES = {
    "ConditionalLayerNormalization": (
        layers.ConditionalLayerNormalization,
        (tf.TensorSpec([None, None, 1, 6]), tf.TensorSpec([3, 6]), tf.TensorSpec([3, 6]))),
    "CustomizedGateControl": (
        functools.partial(layers.CustomizedGateControl, 3, 2, 5, [7, 6], shared_gate=True),
        ([tf.TensorSpec([None, 3, 11]), tf.TensorSpec([None, 1, 11])],)),
    "FeatureEmbedding": (
        functools.partial(layers.FeatureEmbedding, {"item": 11, "tag": 5},
                          {"item": "item", "clicked": "item", "tag": "tag"}, 6),
        ({"item": IDS, "clicked": tf.TensorSpec([None, None], tf.int64), "tag": IDS},)),
    "FeatureEmbedding pooled": (
        functools.partial(layers.FeatureEmbedding, {"tag": 5}, {"tag": "tag", "tags": "tag"}, 6,
                          pooling={"tags": "mean"}, weights={"tags": "shares"}),
        ({"tag": IDS, "tags": tf.TensorSpec([None, None], tf.int64),
          "shares": tf.TensorSpec([None, None])},)),
    "Hypernetwork": (
        functools.partial(layers.Hypernetwork, 2, 5, [7]),
        ([tf.TensorSpec([3, 6]), tf.TensorSpec([2, 11])],)),
    "MMoE": (functools.partial(layers.MMoE, 3, 2, [7, 6]), (tf.TensorSpec([None, 1, 11]),)),
    "MMoE one input per task": (
        functools.partial(layers.MMoE, 3, 2, [7, 6]), (tf.TensorSpec([None, 3, 11]),)),
    "NumericEmbedding": (
        functools.partial(layers.NumericEmbedding, 5), (tf.TensorSpec([None, 3]),)),
    "PLE": (functools.partial(layers.PLE, 3, 2, 1, [7, 6], 2), (tf.TensorSpec([None, 1, 11]),)),
    "PLE one input per task": (
        functools.partial(layers.PLE, 3, 2, 1, [7, 6], 2), (tf.TensorSpec([None, 3, 11]),)),
    "ParallelDense": (
        functools.partial(layers.ParallelDense, 6, 5, "tanh"), (tf.TensorSpec([None, 3, 7]),)),
    "ParallelMLP": (
        functools.partial(layers.ParallelMLP, 3, [7, 5]), (tf.TensorSpec([None, None, 1, 11]),)),
    "SequenceEmbedding": (
        functools.partial(layers.SequenceEmbedding, 5, 4),
        ([SEQUENCE, tf.TensorSpec([None, None, 2])], MASK)),
    "SharedBottom": (
        functools.partial(layers.SharedBottom, [7, 5]), (tf.TensorSpec([None, 3, 11]),)),
    "TaskInterest": (
        functools.partial(layers.TaskInterest, 3, 2, 5),
        ([SEQUENCE, SEQUENCE], [MASK, MASK])),
    "TaskInterest target": (
        functools.partial(layers.TaskInterest, 3, num_blocks=2, pooling="target"),
        ([SEQUENCE, SEQUENCE], [MASK, MASK], tf.TensorSpec([None, 6]))),
    "TaskRefinement": (
        functools.partial(layers.TaskRefinement, 3, [7, 5]), (tf.TensorSpec([None, 1, 11, 2]),)),
    "TaskRefinement element": (
        functools.partial(layers.TaskRefinement, 3, [7], "element"),
        (tf.TensorSpec([None, 3, 11, 2]),)),
    "TaskTowers": (
        functools.partial(layers.TaskTowers, 3, [7, 5], [0.5, 0.1, None]),
        (tf.TensorSpec([None, 3, 11]),)),
    "TaskTowers heads only": (
        functools.partial(layers.TaskTowers, 3, []), (tf.TensorSpec([None, 1, 11]),)),
}
# Every history of the harness has an event.
UNUSED_WEIGHTS = {"TaskInterest": ("no_history",), "TaskInterest target": ("no_history",)}


def test_every_public_layer_is_checked():
    public = {name for name, value in vars(layers).items()
              if isinstance(value, type) and issubclass(value, tf.keras.layers.Layer)}
    assert public == set(layers.__all__) == {name.split()[0] for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_conformance(name, tmp_path):
    make, args = CASES[name]
    check_layer(make, args, tmp_path, UNUSED_WEIGHTS.get(name, ()))
