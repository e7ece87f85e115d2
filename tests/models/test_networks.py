"""Every multi-task network, and every order of tasks, in the model."""

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf import layers
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.models import DTRN
from dtrn_tf.schema import Schema

TASKS = ("click", "cart", "buy")
SCHEMA = Schema.from_dict({
    "vocabularies": [{"name": "item", "kind": "hash", "size": 17}],
    "features": [{"name": "item", "vocabulary": "item", "level": "candidate"},
                 {"name": "age", "level": "request"}],
    "behaviors": [{"name": "clicked", "max_length": 3, "features": [
        {"name": "clicked_item", "vocabulary": "item"}]}],
    "tasks": [{"name": name, "label": name} for name in TASKS]})
NETWORKS = {
    "separate": lambda: layers.ParallelMLP(3, (11,)),
    "cross_stitch": lambda: layers.CrossStitch(3, (11, 7)),
    "cgc": lambda: layers.PLE(3, 1, 2, (11,)),
    "aitm": lambda: layers.AITM(3, (11, 7)),
    "pepnet": lambda: layers.PEPNet(3, (11, 7), gate_units=5),
    "home": lambda: layers.HoME((0, 0, 1), 2, (11,), gate_units=5),
}


def _inputs(rows=29):
    random = np.random.default_rng(0)
    return {"item": tf.constant(random.integers(1, 19, rows), tf.int32),
            "age": tf.constant(random.normal(size=rows), tf.float32),
            "clicked_item": tf.constant(  # the last user has clicked nothing
                [*random.integers(1, 19, (rows - 1, 3)), [0, 0, 0]], tf.int32)}


def _stem(**options):
    return DTRN(SCHEMA, network=layers.STEM(3, 1, 1, (11,), slice_width=2),
                embedding_width=(3 + 1) * 2, **options)


def _model(network, **options):
    return DTRN(SCHEMA, network=NETWORKS[network](), embedding_width=6,
                interest=layers.TaskInterest(3), refinement=layers.TaskRefinement(3, (4,)),
                **options)


def _plain(order, **options):
    model = DTRN(SCHEMA, network=NETWORKS["separate"](), task_order=order, **options)
    model.build()
    return model


def _scale_heads(model, factor):
    model.towers.heads.set_weights([w * factor for w in model.towers.heads.get_weights()])


def _check(model, tmp_path):
    """Every weight gets a gradient; saved and loaded, the model is the same."""
    inputs = _inputs()
    with tf.GradientTape() as tape:
        logits = model(inputs)
        # A distinct target per task, so that no gradient cancels.
        loss = tf.add_n([tf.reduce_mean(tf.square(logits[task] - number - 1.0))
                         for number, task in enumerate(TASKS)])
    weights = model.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(loss, [table_variable(w) for w in weights])):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, weight.name
    path = str(tmp_path / "model.keras")
    model.save(path)
    loaded = tf.keras.models.load_model(path, safe_mode=True)(inputs)
    for task in TASKS:
        assert logits[task].shape == (29,)
        np.testing.assert_allclose(loaded[task], logits[task], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network(network, tmp_path):
    _check(_model(network), tmp_path)


def test_stem(tmp_path):
    _check(_stem(tower_units=(5,)), tmp_path)


def test_one_tasks_loss_trains_its_own_slice_of_stems_tables_and_the_shared_one():
    model, inputs = _stem(), _inputs()
    model.build()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs)["cart"])
    (table,) = model.embedding_tables
    gradient = tf.convert_to_tensor(tape.gradient(loss, table_variable(table)))
    used = np.abs(gradient).reshape(-1, 4, 2).any(axis=(0, 2))
    assert used.tolist() == [False, True, False, True]


@pytest.mark.parametrize("order", [layers.TaskProducts([None, 0, 1]), layers.OrderCalibrator(0.6)],
                         ids=["products", "calibrator"])
def test_orders_of_tasks(order, tmp_path):
    _check(_plain(order, wide=True), tmp_path)


def test_products_are_never_more_probable_than_what_they_follow():
    order = layers.TaskProducts([None, 0, 1])
    model = _plain(order, wide=True, base_rates={"click": 0.3, "cart": 0.5, "buy": 0.1})
    _scale_heads(model, 20)
    logits = model(_inputs())
    assert (logits["click"] > logits["cart"]).numpy().all()
    assert (logits["cart"] > logits["buy"]).numpy().all()
    assert np.std(logits["click"]) > 0.1
    # Without a hidden layer that says otherwise, rates multiply.
    _scale_heads(model, 0)
    model.wide.set_weights([0 * w for w in model.wide.get_weights()])
    for task, rate in zip(TASKS, (0.3, 0.15, 0.015)):
        np.testing.assert_allclose(tf.sigmoid(model(_inputs())[task]), rate, rtol=1e-5)


def test_the_calibrator_adds_a_loss_in_training_alone():
    model = _plain(layers.OrderCalibrator(0.6),
                   base_rates={"click": 0.1, "cart": 0.5, "buy": 0.4})
    _scale_heads(model, 0)
    model(_inputs(), training=True)
    (loss,) = model.losses
    np.testing.assert_allclose(loss, 0.6 * 0.4, rtol=1e-5)
    model(_inputs())
    assert not model.losses
