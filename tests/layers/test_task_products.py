import math
import re

import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal

from dtrn_tf.layers import TaskProducts


def _logit(p):
    return np.log(p) - np.log1p(-p)


def test_by_hand():
    conditional = np.array([[0.5, 0.2, 0.1], [0.9, 0.5, 0.4]])
    chain = TaskProducts([2, 0, None], dtype="float64")(tf.constant(_logit(conditional)))
    np.testing.assert_allclose(tf.sigmoid(chain), [[0.05, 0.01, 0.1], [0.36, 0.18, 0.4]])
    tree = TaskProducts([None, 0, 0], dtype="float64")(tf.constant(_logit(conditional)))
    np.testing.assert_allclose(tf.sigmoid(tree), [[0.5, 0.1, 0.05], [0.9, 0.45, 0.36]])


@pytest.mark.parametrize("earlier", [[None, None, None], [None, 0, 1], [1, 2, None], [None, 0, 0]])
def test_equals_the_product_of_probabilities_with_gradients(earlier):
    logits = normal(11, len(earlier))

    def plain():
        columns = []
        for task in range(len(earlier)):
            p, before = tf.sigmoid(logits[:, task]), earlier[task]
            while before is not None:
                p, before = p * tf.sigmoid(logits[:, before]), earlier[before]
            columns.append(tf.math.log(p) - tf.math.log1p(-p))
        return tf.stack(columns, axis=1)

    layer = TaskProducts(earlier, dtype="float64")
    assert_equal_with_gradients(lambda: layer(logits), plain, [logits])


@pytest.mark.parametrize("first, second, expected", [
    (100.0, 100.0, 100.0 - math.log(2)), (100.0, -100.0, -100.0), (-100.0, 100.0, -100.0),
    (-100.0, -100.0, -200.0), (100.0, 3.0, 3.0), (0.0, 0.0, -math.log(3))])
def test_large_logits_lose_nothing(first, second, expected):
    """In float32, where both probabilities round to 0 or 1."""
    logits = tf.constant([[first, second]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        product = TaskProducts([None, 0])(logits)[0, 1]
    gradient = tape.gradient(product, logits).numpy()[0]
    np.testing.assert_allclose(product, expected, rtol=1e-6)
    # d logit(pq) / d logit(p) = (1 - p) / (1 - pq), from 0 to 1; here without computing p.
    a, b = np.float64(first), np.float64(second)
    total = np.logaddexp(np.logaddexp(-a, -b), -a - b)
    expected = np.exp([np.logaddexp(-a, -a - b) - total, np.logaddexp(-b, -a - b) - total])
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-30)


def test_the_loss_of_a_product_trains_both_tasks_on_every_row():
    logits = tf.constant([[100.0, -100.0], [-100.0, 100.0], [-100.0, -100.0], [0.3, -2.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        product = TaskProducts([None, 0])(logits)[:, 1]
        loss = tf.nn.sigmoid_cross_entropy_with_logits(tf.ones(4), product)
    np.testing.assert_allclose(loss[:3], [100.0, 100.0, 200.0])
    gradient = tape.gradient(loss, logits).numpy()
    np.testing.assert_allclose(gradient[:3], [[0, -1], [-1, 0], [-1, -1]], atol=1e-6)
    assert np.isfinite(gradient).all() and (gradient[3] < 0).all()


def test_a_task_that_follows_none_is_left_alone():
    logits = tf.random.stateless_normal([7, 3], (1, 2))
    layer = TaskProducts([None, 0, None])
    np.testing.assert_array_equal(layer(logits).numpy()[:, [0, 2]], logits.numpy()[:, [0, 2]])
    np.testing.assert_array_equal(TaskProducts([None] * 3)(logits), logits)


@pytest.mark.parametrize("earlier", [[0], [None, 2], [1, 0], [1, 2, 0], [None, -1], [2, 2, 1]])
def test_impossible_orders(earlier):
    text = ("`earlier` should give, for every task, None or the index of the task that it follows, "
            f"without a circle. Received: {tuple(earlier)!r}.")
    with pytest.raises(ValueError, match=re.escape(text)):
        TaskProducts(earlier)


def test_another_number_of_tasks():
    text = "one logit for each of the 2 tasks of `earlier`. Received: shape (5, 3)."
    with pytest.raises(ValueError, match=re.escape(text)):
        TaskProducts([None, 0])(tf.zeros([5, 3]))
