"""Updates a table on two logical devices and on one, and prints what differs.

A process of its own, because logical devices are made before TensorFlow starts.
"""

import json
import sys

import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)

from dtrn_tf.layers import FeatureEmbedding  # noqa: E402
from dtrn_tf.layers.variables import table_variable  # noqa: E402
from dtrn_tf.optimizers import make_row_optimizer  # noqa: E402
from dtrn_tf.training import make_strategy  # noqa: E402

ROWS, WIDTH, STEPS, HALF = 31, 3, 5, 11


def train(strategy, ids):
    """Both halves of the ids on a device each, or all of them on one. ids: [STEPS, 2 HALF]"""
    with strategy.scope():
        layer = FeatureEmbedding({"item": ROWS}, {"item": "item"}, WIDTH)
        layer.build(None)
        layer.set_weights([np.random.default_rng(1).normal(size=(ROWS, WIDTH))])
        optimizer = make_row_optimizer(sys.argv[1], 0.1, 0.2)
        optimizer.build(layer.trainable_weights)

    def step(ids):
        table = table_variable(layer.trainable_weights[0])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(3.0 * layer({"item": ids})["item"]))
        optimizer.apply([tape.gradient(loss, table)])

    run = tf.function(lambda ids: strategy.run(step, (ids,)), autograph=False)
    replicas = strategy.num_replicas_in_sync
    for row in ids:
        parts = [tf.constant(part) for part in np.split(row, replicas)]
        values = strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group])
        run(values)
    operations = run.get_concrete_function(values).graph.get_operations()
    whole = [op.name for op in operations
             if op.type == "ReadVariableOp" and op.outputs[0].shape.rank != 0]
    variables = [layer.trainable_weights[0].value, *optimizer.variables]
    copies = [[copy.numpy() for copy in strategy.experimental_local_results(variable)]
              for variable in variables]
    return copies, whole


batches = np.random.default_rng(0).integers(0, ROWS - 4, (STEPS, 2 * HALF)).astype(np.int32)
two, whole = train(make_strategy("mirrored"), batches)
one, _ = train(make_strategy("cpu"), batches)
print(json.dumps({
    "copies": [len(copies) for copies in two],
    "copies_differ": [bool((copies[0] != copies[-1]).any()) for copies in two],
    "largest_error": float(np.abs(two[0][0] - one[0][0]).max()),
    "largest_update": float(np.abs(two[0][0] - np.random.default_rng(1).normal(
        size=(ROWS, WIDTH))).max()),
    "tables_read_as_a_whole": whole}))
