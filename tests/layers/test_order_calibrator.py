import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.layers import OrderCalibrator


def test_by_hand():
    p = np.array([[0.5, 0.7, 0.1, 0.2], [0.9, 0.5, 0.4, 0.3]], np.float32)
    logits = tf.constant(np.log(p / (1 - p)))
    layer = OrderCalibrator(0.6)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        outputs = layer(logits, training=True)
        (loss,) = layer.losses
    np.testing.assert_array_equal(outputs, logits)
    np.testing.assert_allclose(loss, 0.6 * (0.2 + 0.1) / 2, rtol=1e-6)
    slope = 0.3 * p[0] * (1 - p[0]) * [-1, 1, -1, 1]
    np.testing.assert_allclose(tape.gradient(loss, logits), [slope, [0, 0, 0, 0]], atol=1e-7)


def test_no_loss_outside_training():
    layer = OrderCalibrator(0.6)
    layer(tf.constant([[0.0, 1.0]]), training=True)
    layer(tf.constant([[0.0, 1.0]]))
    assert not layer.losses


@pytest.mark.parametrize("weight", [-0.1, True, "1", float("nan")])
def test_bad_weight(weight):
    with pytest.raises(ValueError, match="`weight` should be a number >= 0. Received: "):
        OrderCalibrator(weight)
