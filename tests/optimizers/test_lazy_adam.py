import numpy as np
import tensorflow as tf

from dtrn_tf.optimizers import LazyAdam


def test_two_steps_by_hand():
    adam = LazyAdam(beta_1=0.5, beta_2=0.75, epsilon=1.0)
    step, slot = adam(tf.constant([[4.0, -2.0]]), tf.zeros((1, 4)))
    np.testing.assert_allclose(slot, [[2.0, -1.0, 4.0, 1.0]])
    np.testing.assert_allclose(step, [[2.0 / 3.0, -1.0 / 2.0]])
    step, slot = adam(tf.constant([[0.0, 5.0]]), slot)
    np.testing.assert_allclose(slot, [[1.0, 2.0, 3.0, 7.0]])
    np.testing.assert_allclose(step, [[1 / (np.sqrt(3) + 1), 2 / (np.sqrt(7) + 1)]], rtol=1e-6)


def test_the_scale_undoes_the_bias_of_moments_that_start_at_zero():
    adam = LazyAdam(beta_1=0.5, beta_2=0.75)
    np.testing.assert_allclose(adam.scale(tf.constant([1.0, 2.0])),
                               [0.5 / 0.5, np.sqrt(1 - 0.5625) / 0.75])


def test_two_numbers_of_state_for_every_weight():
    assert LazyAdam().slot_width(7) == 14
