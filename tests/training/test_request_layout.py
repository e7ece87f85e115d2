"""The same impressions train a model the same as records of impressions and of requests."""

import numpy as np
import pytest
import tensorflow as tf
from descent import Descent
from helpers import small_request, small_requests, small_row, small_schema, write_records

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import read_records
from dtrn_tf.evaluation import predict
from dtrn_tf.layers import MMoE, PLE, SharedBottom, TaskInterest, TaskRefinement
from dtrn_tf.models import DTRN
from dtrn_tf.optimizers import PairedOptimizer, RowOptimizer
from dtrn_tf.training import TrainStep, make_strategy

SCHEMAS = {layout: small_schema(layout=layout) for layout in ("impression", "request")}
NETWORKS = {"shared_bottom": lambda: SharedBottom((5,)), "mmoe": lambda: MMoE(4, 2, (5,)),
            "ple": lambda: PLE(4, 2, 1, (5,))}
NUM_TASKS = {"task": 4, "shared": 1}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The same 23 impressions in one file of either layout, in the same order."""
    directory = tmp_path_factory.mktemp("layouts")
    lists = SCHEMAS["request"].candidate_lists
    impressions = [
        {name: small_row(number if name in lists else numbers[0])[name] for name in small_row()}
        for numbers in small_requests(23) for number in numbers]
    requests = list(map(small_request, small_requests(23)))
    return {layout: write_records(directory / f"{layout}.tfrecord",
                                  [encode_example(row, SCHEMAS[layout]) for row in rows])
            for layout, rows in (("impression", impressions), ("request", requests))}


def _model(schema, network, interest, pooling, wide, refinement):
    tf.keras.utils.set_random_seed(7)
    model = DTRN(
        schema, network=NETWORKS[network](), wide=wide,
        interest=None if interest == "mean" else TaskInterest(NUM_TASKS[interest], pooling=pooling),
        refinement=TaskRefinement(4, (3,), granularity=refinement) if refinement else None)
    model.build()
    random = np.random.default_rng(11)
    model.set_weights([random.normal(0.0, 0.3, w.shape).astype(np.float32)
                       for w in model.get_weights()])
    return model


def _train_step(layout, path, data_dir, architecture):
    """Logits of all rows, losses of one step over them, and the gradients of all weights."""
    schema = SCHEMAS[layout]
    model = _model(schema, *architecture)
    dataset = read_records([path], schema, Preprocessing(schema, data_dir), batch_size=23)
    logits = predict(model, dataset).logits
    optimizer = PairedOptimizer(
        RowOptimizer(Descent(), 1.0), tf.keras.optimizers.SGD(1.0), model.embedding_tables,
        model.dense_weights)
    before = model.get_weights()
    step = TrainStep(model, optimizer, schema, make_strategy("cpu"))
    losses, rows, *_ = step.run(iter(dataset), 1)
    assert rows == 23
    # A step of rate 1 takes the gradient away.
    return logits, losses, [b - a for b, a in zip(before, model.get_weights())]


@pytest.mark.parametrize("architecture", [
    ("shared_bottom", "task", "mean", True, "field"),
    ("mmoe", "task", "target", False, "element"),
    ("ple", "shared", "target", True, None),
    ("mmoe", "shared", "mean", False, "field"),
    ("ple", "mean", "mean", True, "field"),
], ids=lambda a: "-".join(map(str, a)))
def test_logits_losses_and_gradients_are_equal(paths, small_data, architecture):
    logits, losses, gradients = _train_step(
        "impression", paths["impression"], small_data, architecture)
    others = _train_step("request", paths["request"], small_data, architecture)
    for task, values in logits.items():
        np.testing.assert_allclose(others[0][task], values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(others[1], losses, rtol=1e-6)
    assert len(others[2]) == len(gradients)
    for other, gradient in zip(others[2], gradients):
        np.testing.assert_allclose(other, gradient, rtol=1e-4, atol=2e-6)
    # Nearly all weights move, or equality would show nothing.
    assert np.mean([np.abs(gradient).max() > 1e-4 for gradient in gradients]) > 0.9
