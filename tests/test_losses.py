import numpy as np
import tensorflow as tf

from dtrn_tf.losses import binary_crossentropy, squared_error, weighted_mean


def test_binary_crossentropy_equals_its_definition():
    labels, logits = np.array([1.0, 0.0, 1.0, 0.3]), np.array([2.0, 2.0, -1.5, 0.7])
    p = 1 / (1 + np.exp(-logits))
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    np.testing.assert_allclose(binary_crossentropy(labels, logits), expected, rtol=1e-6)


def test_binary_crossentropy_is_finite_for_any_logit():
    losses = binary_crossentropy([0.0, 1.0], [1e4, -1e4])
    np.testing.assert_allclose(losses, [1e4, 1e4])


def test_binary_crossentropy_gradient_is_probability_minus_label():
    logits = tf.constant([0.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(binary_crossentropy([1.0, 0.0], logits))
    np.testing.assert_allclose(tape.gradient(loss, logits), [-0.5, 1 / (1 + np.exp(-3.0))],
                               rtol=1e-6)


def test_squared_error():
    np.testing.assert_allclose(squared_error([1.0, -2.0], [0.5, 1.0]), [0.25, 9.0])


def test_weighted_mean_by_hand():
    assert float(weighted_mean([1.0, 4.0, 10.0], [2.0, 1.0, 0.0])) == 2.0
    assert float(weighted_mean([1.0, 4.0], [1.0, 1.0], total_weight=tf.constant(5.0))) == 1.0


def test_weighted_mean_of_nothing_is_zero():
    assert float(weighted_mean([1.0], [0.0])) == 0.0


def test_masking_equals_leaving_rows_out_even_if_they_are_nan():
    values = tf.constant([1.0, np.nan, 3.0])
    weights = tf.constant([1.0, 0.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        mean = weighted_mean(values, weights)
    assert float(mean) == 2.5
    np.testing.assert_allclose(tape.gradient(mean, values), [0.25, 0.0, 0.75])
