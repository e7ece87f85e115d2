import numpy as np
import tensorflow as tf
from descent import Descent

from dtrn_tf.layers.variables import table_variable
from dtrn_tf.optimizers import PairedOptimizer, RowOptimizer
from dtrn_tf.optimizers.loss_scale import LossScale
from dtrn_tf.schema import Schema
from dtrn_tf.training import TrainStep, make_strategy

keras = tf.keras
SCHEMA = Schema.from_dict({
    "vocabularies": [{"name": "item", "kind": "identity", "size": 4}],
    "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
    "tasks": [{"name": "click", "label": "a", "weight": 0.5},
              {"name": "stay", "label": "b", "kind": "regression", "weight": 2.0}]})


class Linear(keras.Model):
    """click = table[item] * w, stay = table[item]: small enough to differentiate by hand."""

    def __init__(self):
        super().__init__()
        self.table = self.add_weight(name="table", shape=(6, 1), initializer="ones")
        self.w = self.add_weight(name="w", shape=(), initializer="ones")

    def call(self, inputs, training=None):
        rows = tf.gather(table_variable(self.table), inputs["item"])[:, 0]
        return {"click": rows * tf.convert_to_tensor(self.w), "stay": rows}


def _batch(item, click, stay, click_weight, stay_weight):
    return ({"item": tf.constant(item)},
            {"click": tf.constant(click), "stay": tf.constant(stay)},
            {"click": tf.constant(click_weight), "stay": tf.constant(stay_weight)})


def _iterator(batch):
    return iter(tf.data.Dataset.from_tensors(batch))


def _step(model, rate=1.0):
    optimizer = PairedOptimizer(RowOptimizer(Descent(), rate), keras.optimizers.SGD(rate),
                                [model.table], [model.w])
    return TrainStep(model, optimizer, SCHEMA, make_strategy("cpu"))


def test_losses_and_update_by_hand():
    model = Linear()
    batch = _batch([2, 2, 3], [1.0, 0.0, 1.0], [3.0, 0.0, 9.0], [1.0, 3.0, 2.0], [1.0, 1.0, 0.0])
    losses, rows, *_ = _step(model).run(_iterator(batch), 1)
    assert rows == 3
    p = 1 / (1 + np.exp(-1.0))
    click = (-np.log(p) - 3 * np.log(1 - p) - 2 * np.log(p)) / 6
    np.testing.assert_allclose(losses, [click, (4.0 + 1.0) / 2], rtol=1e-6)
    # d click / d logit = weight * (p - y) / 6, d stay / d value = 2 * (value - y) / 2; both rows
    # of item 2 add up, and w gets the sum of the click gradients.
    click_gradient = np.array([(p - 1) + 3 * p, 2 * (p - 1)]) / 6
    np.testing.assert_allclose(model.table[2], 1 - (0.5 * click_gradient[0] + 2.0 * (-2 + 1)),
                               rtol=1e-5)
    np.testing.assert_allclose(model.table[3], 1 - 0.5 * click_gradient[1], rtol=1e-5)
    np.testing.assert_allclose(model.w, 1 - 0.5 * click_gradient.sum(), rtol=1e-5)
    np.testing.assert_array_equal(np.array(model.table)[[0, 1, 4, 5]], 1.0)


def _dataset():
    random = np.random.default_rng(1)
    ones = np.ones(4, np.float32)
    return tf.data.Dataset.from_tensor_slices([0]).repeat().map(
        lambda _: _batch([2, 3, 4, 5], [1.0, 0.0, 1.0, 0.0],
                         random.normal(size=4).astype(np.float32).tolist(), ones, ones))


def test_many_steps_in_one_call_equal_single_calls():
    weights = []
    for calls in ([5], [1, 1, 1, 1, 1], [2, 3]):
        model = Linear()
        step, iterator = _step(model, 0.1), iter(_dataset())
        losses = [step.run(iterator, n)[0].numpy() * n for n in calls]
        weights.append([np.array(model.table), np.array(model.w), sum(losses)])
    for other in weights[1:]:
        for a, b in zip(other, weights[0]):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_task_without_observed_rows_changes_nothing():
    model = Linear()
    batch = _batch([2, 3], [1.0, 0.0], [7.0, 8.0], [0.0, 0.0], [0.0, 0.0])
    losses, rows, *_ = _step(model).run(_iterator(batch), 1)
    np.testing.assert_array_equal(losses, [0.0, 0.0])
    assert rows == 2
    np.testing.assert_array_equal(np.array(model.table), np.ones((6, 1)))


class Penalized(Linear):
    """The same with a loss of its own, 3 w, in training."""

    def call(self, inputs, training=None):
        if training:
            self.add_loss(3.0 * tf.convert_to_tensor(self.w))
        return super().call(inputs)


def test_losses_that_layers_add_are_part_of_the_total():
    plain, penalized = Linear(), Penalized()
    batch = _batch([2, 2, 3], [1.0, 0.0, 1.0], [3.0, 0.0, 9.0], [1.0, 3.0, 2.0], [1.0, 1.0, 0.0])
    losses = [_step(model, 0.1).run(_iterator(batch), 1)[0] for model in (plain, penalized)]
    np.testing.assert_array_equal(*losses)  # what is reported is the loss of the tasks
    np.testing.assert_allclose(penalized.w, plain.w - 0.1 * 3.0, rtol=1e-6)
    np.testing.assert_array_equal(penalized.table, plain.table)


def test_a_loss_scale_is_lowered_until_gradients_fit_and_changes_nothing_else():
    plain, scaled = Linear(), Linear()
    batch = _batch([2, 2, 3], [1.0, 0.0, 1.0], [3.0, 0.0, 9.0], [1.0, 3.0, 2.0], [1.0, 1.0, 0.0])
    scale = LossScale(initial=2.0 ** 127)
    optimizer = PairedOptimizer(RowOptimizer(Descent(), 0.1), keras.optimizers.SGD(0.1),
                                [scaled.table], [scaled.w], loss_scale=scale)
    step = TrainStep(scaled, optimizer, SCHEMA, make_strategy("cpu"))
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    first = step.run(iterator, 1)
    # 2 (p - y) times 2^127 is infinite: the step is left out, and the run goes on.
    assert first.sound and float(scale.value) == 2.0 ** 126 and float(scaled.w) == 1.0
    while float(scaled.w) == 1.0:
        assert step.run(iterator, 1).sound
    _step(plain, 0.1).run(_iterator(batch), 1)
    assert 2.0 ** 120 < float(scale.value) < 2.0 ** 127
    np.testing.assert_allclose(scaled.w, plain.w, rtol=1e-6)
    np.testing.assert_allclose(scaled.table, plain.table, rtol=1e-6)


def test_an_infinite_loss_is_not_sound_whatever_the_scale():
    model = Linear()
    batch = _batch([2], [1.0], [1e30], [1.0], [1.0])
    optimizer = PairedOptimizer(RowOptimizer(Descent(), 0.1), keras.optimizers.SGD(0.1),
                                [model.table], [model.w], loss_scale=LossScale(initial=2.0))
    done = TrainStep(model, optimizer, SCHEMA, make_strategy("cpu")).run(
        iter(tf.data.Dataset.from_tensors(batch).repeat()), 5)
    # The squared error is infinite whatever the scale.
    assert not done.sound and done.count == 1 and float(model.w) == 1.0
