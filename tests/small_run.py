"""A run directory as training leaves it, with a small DTRN of random weights."""

import os

import numpy as np
from helpers import small_schema, write_small_data

from dtrn_tf.layers import MMoE, TaskInterest, TaskRefinement
from dtrn_tf.models.dtrn import DTRN


def write_small_run(directory, schema=None):
    """Writes records, schema, vocabularies, statistics and best/model.keras of `small_schema`."""
    schema = schema or small_schema()
    directory = write_small_data(directory, schema)
    os.makedirs(os.path.join(directory, "best"))
    small_model(schema).save(os.path.join(directory, "best", "model.keras"))
    return directory


def small_model(schema):
    """A DTRN in which every input reaches every output: no weight is small or zero."""
    num_tasks = len(schema.tasks)
    model = DTRN(
        schema, network=MMoE(num_tasks=num_tasks, num_experts=3, units=(7,)), wide=True,
        interest=TaskInterest(num_tasks=num_tasks), refinement=TaskRefinement(num_tasks, (5,)))
    model.build(None)
    random = np.random.default_rng(11)
    model.set_weights([random.normal(0.0, 0.3, weight.shape).astype(np.float32)
                       for weight in model.get_weights()])
    return model
