"""Conflicting tasks: loss weighting and gradient methods, on scalar products of gradients.

All gradient methods here give an update that is a weighted sum of the tasks' gradients, with
weights that depend only on the scalar products of these gradients: K numbers from a K x K matrix.
"""

from dtrn_tf.balancing.closed_form import aligned, imtl
from dtrn_tf.balancing.gradient_methods import GRADIENT_METHODS, GradientMethod
from dtrn_tf.balancing.learned_weights import LOSS_WEIGHTINGS, make_loss_weighting
from dtrn_tf.balancing.loss_weighting import (dynamic_weight_average, gradnorm, impartial,
                                              uncertainty)
from dtrn_tf.balancing.min_norm import cagrad, mgda
from dtrn_tf.balancing.nash import nash
from dtrn_tf.balancing.projection import gradvac, pcgrad
from dtrn_tf.balancing.task_balancer import TaskBalancer

__all__ = ["GRADIENT_METHODS", "GradientMethod", "LOSS_WEIGHTINGS", "TaskBalancer", "aligned",
           "cagrad", "dynamic_weight_average", "gradnorm", "gradvac", "impartial", "imtl",
           "make_loss_weighting", "mgda", "nash", "pcgrad", "uncertainty"]
