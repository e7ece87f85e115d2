"""Gradient descent as a rule of RowOptimizer: updates that can be checked by hand."""

import tensorflow as tf


class Descent:
    """Without memory: the step is the gradient."""

    def slot_width(self, width):
        return 1

    def scale(self, step):
        return tf.ones_like(step)

    def __call__(self, gradient, slot):
        return gradient, slot
