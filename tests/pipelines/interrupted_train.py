"""pipelines.train, to which something happens: `python interrupted_train.py WHAT STEP FLAGS...`

Sends itself a signal at a certain point, or reads what two workers read together.
"""

import os
import signal
import sys

from dtrn_tf import program

import tensorflow as tf  # isort: skip

from dtrn_tf.data import reader
from dtrn_tf.data.share import share_of_worker
from dtrn_tf.data.shards import Shards
from dtrn_tf.training import TrainStep, run_directory
from pipelines import train

what, step = sys.argv[1], int(sys.argv[2])
steps_per_process = {"count": 0}


def _signal(number):
    os.kill(os.getpid(), number)


def _in_step(number):
    """Sends the signal while the step of this process runs; needs --steps_per_call=1."""
    run = TrainStep.run

    def counted(self, iterator, steps):
        steps_per_process["count"] += steps
        if steps_per_process["count"] == step:
            _signal(number)
        return run(self, iterator, steps)

    TrainStep.run = counted


def _in_checkpoint():
    """Dies when a part of a checkpoint is written."""
    write = tf.train.Checkpoint.write

    def half(self, path, *args):
        if f"ckpt-{step}." in path and path.endswith("state"):
            write(self, path, *args)
            os.truncate(f"{path}.data-00000-of-00001", 1000)
            os.rename(f"{path}.index", f"{path}_temp")
            _signal(signal.SIGKILL)
        return write(self, path, *args)

    tf.train.Checkpoint.write = half


def _in_best_model():
    """Dies between the best model and its metrics."""
    write = run_directory.write_json

    def half(path, value):
        if path.endswith("best/metrics.json") and value["step"] == step:
            _signal(signal.SIGKILL)
        write(path, value)

    run_directory.write_json = half


def _read_both_shares():
    """Gives one process the global batches of two workers."""
    read = reader.read_serialized

    def joined(files, *, batch_size, runs, repeat, **how):
        if not repeat:  # the valid split
            return read(files, batch_size=batch_size, runs=runs, **how)
        whole = Shards(files=files, num_records=23)
        parts = [read(share.files, batch_size=batch_size // 2, runs=share.runs, repeat=True, **how)
                 for share in (share_of_worker(whole, worker, 2) for worker in (0, 1))]
        return tf.data.Dataset.zip(*parts).map(lambda *batches: tf.concat(batches, 0))

    reader.read_serialized = joined


if what == "both_shares":
    _read_both_shares()
    _in_step(signal.SIGTERM)
else:
    {"kill": lambda: _in_step(signal.SIGKILL), "terminate": lambda: _in_step(signal.SIGTERM),
     "kill_in_checkpoint": _in_checkpoint, "kill_in_best_model": _in_best_model}[what]()
sys.argv[1:3] = []
program.run(train.main)
