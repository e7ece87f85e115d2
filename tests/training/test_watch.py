"""What a look into the model sees, and that it changes nothing."""

import numpy as np
import pytest
import tensorflow as tf
from helpers import small_schema
from small_run import small_model

from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.losses import LOSSES, weighted_mean
from dtrn_tf.optimizers.loss_scale import LossScale
from dtrn_tf.training import make_strategy
from dtrn_tf.training.watch import Watch

SCHEMA = small_schema()


@pytest.fixture(scope="module")
def batch(small_data):
    return next(iter(read_records(list_shards(small_data, "train"), SCHEMA,
                                  Preprocessing(SCHEMA, small_data), batch_size=19)))


@pytest.fixture(scope="module")
def model():
    return small_model(SCHEMA)


@pytest.fixture(scope="module")
def seen(model, batch):
    return Watch(model, SCHEMA, make_strategy("cpu"))(batch)


def test_norms_and_cosines_of_the_tasks_gradients(model, batch, seen):
    features, labels, weights = batch
    with tf.GradientTape(persistent=True) as tape:
        logits = model(features)
        losses = [weighted_mean(LOSSES[t.kind](labels[t.name], logits[t.name]), weights[t.name])
                  for t in SCHEMA.tasks]
    variables = [table_variable(weight) for weight in model.shared_weights]
    gradients = np.stack([np.concatenate([np.ravel(tf.convert_to_tensor(g)) for g in tape.gradient(
        loss, variables, unconnected_gradients="zero")]) for loss in losses])
    norms = np.linalg.norm(gradients, axis=1)
    np.testing.assert_allclose(seen.norms, norms, rtol=1e-4)
    np.testing.assert_allclose(seen.cosines, gradients @ gradients.T / np.outer(norms, norms),
                               atol=1e-4)
    assert np.std(seen.cosines) > 0.1


def test_gates_are_summed_up_by_mixture_and_expert(model, batch, seen):
    kept = []
    gates, call = model.network.gates, model.network.gates.call
    gates.call = lambda *args, **options: kept.append(call(*args, **options)) or kept[-1]
    try:
        model(batch[0])
    finally:
        gates.call = call
    values = kept[0].numpy().astype(float)  # [19, 4, 3]
    assert values.shape == (19, 4, 3) and set(seen.shares) == {"tasks"}
    np.testing.assert_allclose(seen.shares["tasks"], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        seen.entropies["tasks"],
        -(values * np.log(values)).sum(-1).mean(0) / np.log(3), rtol=1e-4)
    assert seen.mixture_names("tasks", SCHEMA.task_names) == list(SCHEMA.task_names)
    assert seen._replace(entropies={"groups": tf.zeros(2)}).mixture_names(
        "groups", SCHEMA.task_names) == ["0", "1"]


def test_a_model_whose_shared_weights_are_frozen(batch, model):
    frozen = Frozen(model)
    seen = Watch(frozen, SCHEMA, make_strategy("cpu"))(batch)
    np.testing.assert_array_equal(seen.norms, 0.0)
    np.testing.assert_array_equal(seen.cosines, 0.0)
    assert "tasks" in seen.shares


class Frozen:
    """The same model, with nothing that tasks share to train."""

    shared_weights: list = []

    def __init__(self, model):
        self._model = model

    def __call__(self, features, training=None):
        return self._model(features, training=training)


def test_a_look_changes_nothing_and_a_loss_scale_drops_out(model, batch, seen):
    before = [np.array(v) for v in model.variables]
    again = Watch(model, SCHEMA, make_strategy("cpu"), LossScale(1024.0))(batch)
    np.testing.assert_allclose(again.norms, seen.norms, rtol=1e-5)
    for variable, old in zip(model.variables, before):
        np.testing.assert_array_equal(variable, old)
