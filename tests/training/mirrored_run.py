"""Trains a few steps on the number of logical devices given and prints the weights.

A process of its own, because logical devices are made before TensorFlow starts.
"""

import json
import sys

import numpy as np
import tensorflow as tf

replicas, data_dir = int(sys.argv[1]), sys.argv[2]
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * replicas)

from dtrn_tf.balancing import GradientMethod, TaskBalancer, make_loss_weighting  # noqa: E402
from dtrn_tf.data.preprocessing import Preprocessing  # noqa: E402
from dtrn_tf.data.reader import list_shards, read_records  # noqa: E402
from dtrn_tf.layers import MMoE, OrderCalibrator, TaskInterest, TaskRefinement  # noqa: E402
from dtrn_tf.models import DTRN  # noqa: E402
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer  # noqa: E402
from dtrn_tf.schema import load_schema  # noqa: E402
from dtrn_tf.training import TrainStep, make_strategy  # noqa: E402

tf.keras.utils.set_random_seed(5)
schema = load_schema(f"{data_dir}/schema.yaml")
dataset = read_records(list_shards(data_dir, "train"), schema, Preprocessing(schema, data_dir),
                       batch_size=8 // replicas, repeat=True)
strategy = make_strategy("mirrored" if replicas > 1 else "cpu")
with strategy.scope():
    model = DTRN(schema, network=MMoE(4, 2, (5,)), interest=TaskInterest(4),
                 refinement=TaskRefinement(4, (3,)), task_order=OrderCalibrator(0.5), wide=True)
    model.build()
    optimizer = PairedOptimizer(
        make_row_optimizer(sys.argv[3], 0.05, 0.1), make_optimizer("adam", 0.01),
        model.embedding_tables, model.dense_weights, clip_norm=float(sys.argv[5]) or None)
    balancer = None if sys.argv[4] == "none" else TaskBalancer(
        [1.0] * 4, make_loss_weighting("gradnorm", 4), GradientMethod(sys.argv[4], 4))
step = TrainStep(model, optimizer, schema, strategy, balancer)
losses, rows, *_ = step.run(iter(dataset), 6)
weights = np.concatenate([np.ravel(w) for w in model.get_weights()]).astype(float)
traces = step._run_one.experimental_get_tracing_count()
# A batch that is not sound stops all replicas and changes nothing.
bad = dataset.map(lambda features, *rest: ({**features, "age": features["age"] / 0.0}, *rest))
stopped = step.run(iter(bad), 3)
after = np.concatenate([np.ravel(w) for w in model.get_weights()]).astype(float)
print(json.dumps({"replicas": strategy.num_replicas_in_sync, "losses": losses.numpy().tolist(),
                  "rows": int(rows), "weights": weights.tolist(),
                  "traces": traces, "stopped_after": int(stopped.count),
                  "sound": bool(stopped.sound), "unchanged": bool((after == weights).all()),
                  "bad_batches": len(step.local_batches(stopped))}))
