import numpy as np
import tensorflow as tf

from dtrn_tf.optimizers import RowwiseAdagrad


def test_two_steps_by_hand():
    adagrad = RowwiseAdagrad(epsilon=0.5)
    step, slot = adagrad(tf.constant([[1.0, 7.0], [0.0, 0.0]]), tf.zeros((2, 1)))
    np.testing.assert_allclose(slot, [[25.0], [0.0]])
    np.testing.assert_allclose(step, [[1 / 5.5, 7 / 5.5], [0.0, 0.0]])
    step, slot = adagrad(tf.constant([[-15.0, 15.0], [4.0, 4.0]]), slot)
    np.testing.assert_allclose(slot, [[250.0], [16.0]])
    np.testing.assert_allclose(step, np.array([[-15, 15], [4, 4]])
                               / [[np.sqrt(250) + 0.5], [4.5]], rtol=1e-6)


def test_one_number_of_state_for_every_row():
    assert RowwiseAdagrad().slot_width(7) == 1
