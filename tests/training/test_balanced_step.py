"""Which weights tasks share, and what balancing does to them."""

import numpy as np
import pytest
import tensorflow as tf
from descent import Descent
from helpers import small_schema

from dtrn_tf.balancing import (GRADIENT_METHODS, LOSS_WEIGHTINGS, GradientMethod, TaskBalancer,
                               make_loss_weighting, pcgrad)
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.layers import (AITM, PLE, STEM, CrossStitch, HoME, MMoE, PEPNet, SharedBottom,
                            TaskInterest, TaskProducts, TaskRefinement)
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.losses import LOSSES, weighted_mean
from dtrn_tf.models import DTRN
from dtrn_tf.optimizers import PairedOptimizer, RowOptimizer
from dtrn_tf.training import TrainStep, make_strategy

SCHEMA = small_schema()
NUM_TASKS = len(SCHEMA.tasks)
MODELS = {
    "shared bottom": lambda: {"network": SharedBottom((5,))},
    "one interest": lambda: {"network": SharedBottom((5,)), "interest": TaskInterest(1)},
    "dtrn": lambda: {"network": MMoE(NUM_TASKS, 2, (5,)), "interest": TaskInterest(NUM_TASKS),
                     "refinement": TaskRefinement(NUM_TASKS, (3,))},
    "no interest": lambda: {"network": MMoE(NUM_TASKS, 2, (5,)),
                            "refinement": TaskRefinement(NUM_TASKS, (3,))},
    "ple": lambda: {"network": PLE(NUM_TASKS, 2, 2, (5,))},
    "cross-stitch": lambda: {"network": CrossStitch(NUM_TASKS, (5, 4))},
    "aitm": lambda: {"network": AITM(NUM_TASKS, (5,))},
    "pepnet": lambda: {"network": PEPNet(NUM_TASKS, (5, 4), 3)},
    "stem": lambda: {"network": STEM(NUM_TASKS, 2, 2, (5,), slice_width=2),
                     "embedding_width": 2 * (NUM_TASKS + 1)},
    "home": lambda: {"network": HoME([0, 1, 0, 1], 2, (5,), 3)},
    "products": lambda: {"network": SharedBottom((5,)),
                         "task_order": TaskProducts([None, 0, 0, None])},
    "three levels": lambda: {"network": PLE(NUM_TASKS, 1, 1, (5,), num_levels=3)},
}


@pytest.fixture(scope="module")
def batch(small_data):
    dataset = read_records(list_shards(small_data, "train"), SCHEMA,
                           Preprocessing(SCHEMA, small_data), batch_size=23)
    return next(iter(dataset))


def _model(name):
    tf.keras.utils.set_random_seed(2)
    model = DTRN(SCHEMA, **MODELS[name](), tower_units=(4,), wide=True)
    model.build()
    return model


def _gradients(model, batch, weights):
    """Of every task's loss, without the balancer. [K] lists"""
    features, labels, row_weights = batch
    with tf.GradientTape(persistent=True) as tape:
        logits = model(features, training=True)
        losses = [weighted_mean(LOSSES[t.kind](labels[t.name], logits[t.name]),
                                row_weights[t.name]) for t in SCHEMA.tasks]
    return [[tf.convert_to_tensor(g).numpy() for g in tape.gradient(
        loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)] for loss in losses]


@pytest.mark.parametrize("name", MODELS)
def test_shared_weights_are_those_that_several_losses_reach(name, batch):
    model = _model(name)
    # Weights that start at zero would hide what depends on them; activations should be alive.
    for weight in model.dense_weights:
        weight.assign(tf.abs(tf.random.stateless_normal(weight.shape, (1, 2), stddev=0.3)))
    shared, own = model.shared_weights, model.task_weights
    assert {id(w) for w in shared + own} == {id(w) for w in model.dense_weights}
    assert not {id(w) for w in shared} & {id(w) for w in own}
    assert bool(own) == (name != "products")
    reached = [np.abs(np.stack(of_tasks)) > 0 for of_tasks in zip(*_gradients(
        model, batch, [table_variable(w) for w in shared + own]))]
    for weight, by_task in zip(shared + own, reached):
        tasks_of_each_number = by_task.sum(axis=0)
        if any(weight is w for w in own):
            assert tasks_of_each_number.max() == 1, weight.path
        else:
            assert tasks_of_each_number.max() > 1, weight.path


def _step(model, balancer, rate=0.5):
    optimizer = PairedOptimizer(RowOptimizer(Descent(), rate), tf.keras.optimizers.SGD(rate),
                                model.embedding_tables, model.dense_weights)
    return TrainStep(model, optimizer, SCHEMA, make_strategy("cpu"), balancer)


def test_pcgrad_changes_shared_weights_by_the_projected_gradients_and_others_by_their_own(batch):
    model, rate, task_weights = _model("no interest"), 0.5, [1.0, 0.5, 2.0, 1.0][:NUM_TASKS]
    variables = [*model.shared_weights, *model.task_weights, *model.embedding_tables]
    before = [np.array(v) for v in variables]
    gradients = _gradients(model, batch, [table_variable(v) for v in variables])
    gradients = [[w * g for g in of_task] for w, of_task in zip(task_weights, gradients)]
    num_shared = len(model.shared_weights)
    flat = np.stack([np.concatenate([g.ravel() for g in of_task[:num_shared]])
                     for of_task in gradients])
    method = GradientMethod("pcgrad", NUM_TASKS, seed=4)
    balancer = TaskBalancer(task_weights, make_loss_weighting("fixed", NUM_TASKS), method)
    _step(model, balancer, rate).run(iter(tf.data.Dataset.from_tensors(batch)), 1)

    order = GradientMethod("pcgrad", NUM_TASKS, seed=4)._order()
    weights = pcgrad(tf.constant(flat @ flat.T), order).numpy()
    assert np.abs(weights - 1).max() > 1e-3, "the example should have a conflict"
    np.testing.assert_allclose(balancer.applied, weights * task_weights, rtol=1e-3)
    own = {id(v) for v in model.task_weights}
    for place, (variable, old) in enumerate(zip(variables, before)):
        by_task = np.stack([of_task[place] for of_task in gradients])
        factor = np.ones(NUM_TASKS) if id(variable) in own else weights
        np.testing.assert_allclose(np.array(variable), old - rate * np.tensordot(
            factor, by_task, 1), atol=2e-5, err_msg=variable.path)


class Small(tf.keras.Model):
    """One shared weight per feature, one weight of its own per task."""

    def __init__(self):
        super().__init__()
        self.table = self.add_weight(name="table", shape=(1, 1), initializer="zeros")
        self.shared_weights = [self.add_weight(name="shared", shape=(3,), initializer="ones")]
        self.task_weights = [self.add_weight(name="own", shape=(NUM_TASKS,), initializer="ones")]

    def call(self, inputs, training=None):
        values = tf.linalg.matvec(inputs, tf.convert_to_tensor(self.shared_weights[0]))
        outputs = values[:, tf.newaxis] * tf.convert_to_tensor(self.task_weights[0])
        return dict(zip(SCHEMA.task_names, tf.unstack(outputs, axis=1)))


@pytest.mark.parametrize("weighting, method", [
    *((weighting, "none") for weighting in LOSS_WEIGHTINGS),
    *(("fixed", method) for method in GRADIENT_METHODS[1:]), ("uncertainty", "cagrad"),
    ("gradnorm", "nash"), ("dwa", "pcgrad")])
def test_every_method_lowers_the_loss(weighting, method):
    model, random = Small(), np.random.default_rng(0)
    model.embedding_tables, model.dense_weights = [model.table], [
        *model.shared_weights, *model.task_weights]
    features = random.normal(size=(64, 3)).astype(np.float32)
    labels = {t.name: (features @ random.normal(size=3) > 0).astype(np.float32)
              for t in SCHEMA.tasks}
    ones = {t.name: np.ones(64, np.float32) for t in SCHEMA.tasks}
    balancer = TaskBalancer(
        [1.0] * NUM_TASKS, make_loss_weighting(weighting, NUM_TASKS, dwa_period=2),
        None if method == "none" else GradientMethod(method, NUM_TASKS))
    step = _step(model, balancer, 0.05)
    data = iter(tf.data.Dataset.from_tensors((features, labels, ones)).repeat())
    first = step.run(data, 1)[0].numpy()
    last = [step.run(data, 20)[0].numpy() for _ in range(3)][-1]
    assert np.isfinite(last).all() and last.sum() < first.sum()
    assert np.isfinite(balancer.applied).all()
