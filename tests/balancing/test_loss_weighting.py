import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.balancing import (dynamic_weight_average, gradnorm, impartial, make_loss_weighting,
                               uncertainty)

ORACLE = json.loads((pathlib.Path(__file__).parent / "oracle.json").read_text())
CASES = {name: {key: tf.constant(value, tf.float64) for key, value in case.items()}
         for name, case in ORACLE["cases"].items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_equal_the_oracle(case):
    weights, slope = uncertainty(case["losses"], case["uncertainty_scales"])
    np.testing.assert_allclose(weights, case["uncertainty"], rtol=1e-8)
    np.testing.assert_allclose(slope, case["uncertainty_slope"], rtol=1e-7)
    weights, slope = gradnorm(case["losses"], case["gradnorm_first"],
                              tf.sqrt(tf.linalg.diag_part(case["gram"])), case["gradnorm_scales"])
    np.testing.assert_allclose(weights, case["gradnorm"], rtol=1e-8)
    np.testing.assert_allclose(slope, case["gradnorm_slope"], rtol=1e-7)
    np.testing.assert_allclose(dynamic_weight_average(case["dwa_last"], case["dwa_before"]),
                               case["dwa"], rtol=1e-8)


@pytest.mark.parametrize("rule", [uncertainty, impartial])
def test_slope_is_the_gradient_of_the_loss(rule):
    losses, scales = tf.constant([0.3, 2.0]), tf.constant([0.4, -0.7])
    with tf.GradientTape() as tape:
        tape.watch(scales)
        weights, slope = rule(losses, scales)
        total = tf.reduce_sum(weights * losses + (scales / 2 if rule is uncertainty else -scales))
    np.testing.assert_allclose(slope, tape.gradient(total, scales), rtol=1e-6)


@pytest.mark.parametrize("name, product", [("uncertainty", 0.5), ("imtl", 1.0)])
def test_learned_scales_bring_weighted_losses_together(name, product):
    weighting = make_loss_weighting(name, 2, learning_rate=0.5)
    losses = tf.constant([0.25, 2.0])
    for _ in range(200):
        weights = weighting(losses, None)
    np.testing.assert_allclose(weights * losses, product, rtol=1e-3)


def test_gradnorm_brings_norms_together_when_losses_fall_alike():
    weighting = make_loss_weighting("gradnorm", 2, learning_rate=0.01)
    norms = tf.constant([4.0, 1.0])
    for _ in range(500):
        weights = weighting(tf.constant([1.0, 2.0]), norms)
    np.testing.assert_allclose(weights * norms, 1.6, atol=0.05)
    np.testing.assert_allclose(tf.reduce_sum(weights), 2.0, rtol=1e-6)


def test_gradnorm_waits_for_the_first_loss_of_a_task():
    weighting = make_loss_weighting("gradnorm", 2)
    for losses in ([1.0, 0.0], [0.5, 3.0]):
        assert np.isfinite(weighting(tf.constant(losses), tf.constant([1.0, 0.0]))).all()
    np.testing.assert_allclose(weighting._first_losses, [1.0, 3.0])


def test_dwa_compares_the_means_of_two_periods():
    weighting = make_loss_weighting("dwa", 2, dwa_period=2, dwa_temperature=1.0)
    seen = [weighting(tf.constant(losses), None).numpy() for losses in
            ([2.0, 4.0], [4.0, 4.0], [3.0, 1.0], [3.0, 1.0], [9.0, 9.0])]
    np.testing.assert_array_equal(seen[:4], 1.0)
    share = np.exp([3 / 3, 1 / 4]) / np.exp([3 / 3, 1 / 4]).sum()
    np.testing.assert_allclose(seen[4], 2 * share, rtol=1e-6)
