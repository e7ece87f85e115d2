"""Training: what a run directory holds, one step, the loop around it."""

from dtrn_tf.training.bad_batch import load_bad_batch
from dtrn_tf.training.bad_record_report import report_bad_records
from dtrn_tf.training.loop import Trainer
from dtrn_tf.training.run_directory import RunDirectory, load_run
from dtrn_tf.training.selection import Selection
from dtrn_tf.training.step import TrainStep
from dtrn_tf.training.strategy import make_strategy

__all__ = ["RunDirectory", "Selection", "TrainStep", "Trainer", "load_bad_batch", "load_run",
           "make_strategy", "report_bad_records"]
