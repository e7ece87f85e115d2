"""Optimisers: sparse updates for embedding tables, Keras for dense weights, both, schedules."""

from dtrn_tf.optimizers.lazy_adam import LazyAdam
from dtrn_tf.optimizers.names import (OPTIMIZER_NAMES, ROW_OPTIMIZER_NAMES, make_optimizer,
                                      make_row_optimizer)
from dtrn_tf.optimizers.paired_optimizer import PairedOptimizer
from dtrn_tf.optimizers.row_optimizer import RowOptimizer
from dtrn_tf.optimizers.rowwise_adagrad import RowwiseAdagrad
from dtrn_tf.optimizers.schedules import SCHEDULE_NAMES, Schedule, make_schedule

__all__ = ["LazyAdam", "OPTIMIZER_NAMES", "PairedOptimizer", "ROW_OPTIMIZER_NAMES",
           "RowOptimizer", "RowwiseAdagrad", "SCHEDULE_NAMES", "Schedule", "make_optimizer",
           "make_row_optimizer", "make_schedule"]
