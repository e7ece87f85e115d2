"""A step whose loss or gradient is not finite: nothing changes, and its batch is kept."""

import json

import numpy as np
import pytest
import tensorflow as tf
from descent import Descent
from helpers import small_schema
from small_run import small_model

from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.optimizers import PairedOptimizer, RowOptimizer
from dtrn_tf.training import RunDirectory, TrainStep, load_bad_batch, make_strategy
from dtrn_tf.training.bad_batch import bad_step_error

SCHEMA = small_schema()


@pytest.fixture(scope="module")
def batches(small_data):
    """Five batches; in the third one, one age is not a number."""
    dataset = read_records(list_shards(small_data, "train"), SCHEMA,
                           Preprocessing(SCHEMA, small_data), batch_size=4)
    batches = list(dataset.take(5))
    ages = batches[2][0]["age"].numpy()
    ages[1] = np.nan
    batches[2][0]["age"] = tf.constant(ages)
    return batches


def _iterator(dataset_of, small_data):
    spec = read_records(list_shards(small_data, "train"), SCHEMA,
                        Preprocessing(SCHEMA, small_data), batch_size=4).element_spec
    return iter(tf.data.Dataset.from_generator(lambda: iter(dataset_of), output_signature=spec))


@pytest.fixture(scope="module")
def stopped(batches, small_data):
    """The model, its weights after the two good steps alone, and what a call of five came to."""
    models = []
    for steps in (2, 5):
        model = small_model(SCHEMA)
        optimizer = PairedOptimizer(
            RowOptimizer(Descent(), 0.1), tf.keras.optimizers.Adam(0.1), model.embedding_tables,
            model.dense_weights)
        step = TrainStep(model, optimizer, SCHEMA, make_strategy("cpu"))
        done = step.run(_iterator(batches, small_data), steps)
        models.append(model.get_weights())
    return models[1], models[0], step, done


def test_a_bad_step_ends_the_call_and_changes_no_weight(stopped):
    after, expected, _, done = stopped
    assert not done.sound and done.count == 3 and done.rows == 12
    assert np.isnan(done.last_losses[0])
    for got, wanted in zip(after, expected):
        np.testing.assert_array_equal(got, wanted)
    assert all(np.isfinite(weight).all() for weight in after)


def test_the_batch_is_kept_whole_and_can_be_loaded(stopped, batches, tmp_path):
    *_, step, done = stopped
    run = RunDirectory(str(tmp_path))
    error = bad_step_error(run, SCHEMA.task_names, done, 103, {"": step.local_batches(done)[0]})
    path = tmp_path / "bad_batch" / "step-103.npz"
    assert str(error).startswith("the loss of task 'click' should be finite. Received: nan in step "
                                 "103, which changed no weight. Remedy: look for odd numbers in "
                                 f"its batch, {path} (.json: the range of")
    assert "--clip_norm" in str(error) and "learning rates" in str(error)
    for got, wanted in zip(load_bad_batch(path), batches[2]):
        assert got.keys() == wanted.keys()
        for name, value in wanted.items():
            assert type(got[name]) is type(value) and got[name].dtype == value.dtype
            for one, other in zip(tf.nest.flatten(got[name], expand_composites=True),
                                  tf.nest.flatten(value, expand_composites=True)):
                np.testing.assert_array_equal(one, other)
    logits = small_model(SCHEMA)(load_bad_batch(path)[0])
    assert np.isnan(logits["click"]).tolist() == [False, True, False, False]
    facts = json.loads((tmp_path / "bad_batch" / "step-103.json").read_text())
    assert facts["step"] == 103 and facts["losses"]["click"] == "nan"
    inputs = facts["inputs"]
    assert inputs["features/age"]["not finite"] == 1 and inputs["features/age"]["shape"] == [4]
    assert inputs["labels/click"] == {"shape": [4], "dtype": "float32", "smallest": "0.0",
                                      "largest": "1.0", "not finite": 0}
    assert sorted(p.name for p in path.parent.iterdir()) == ["step-103.json", "step-103.npz"]


def test_a_gradient_alone_that_is_not_finite_is_bad_too(tmp_path):
    class Root(tf.keras.Model):
        """sqrt(w x) at 0: a finite loss of infinite slope."""

        def __init__(self):
            super().__init__()
            self.table = self.add_weight(name="table", shape=(1, 1), initializer="zeros")
            self.w = self.add_weight(name="w", shape=(), initializer="ones")

        def call(self, inputs, training=None):
            root = tf.sqrt(inputs["age"] * tf.convert_to_tensor(self.w))
            return {name: root for name in SCHEMA.task_names}

    model = Root()
    ones = {name: tf.ones(2) for name in SCHEMA.task_names}
    batch = {"age": tf.constant([0.0, 1.0])}, ones, ones
    optimizer = PairedOptimizer(RowOptimizer(Descent(), 1.0), tf.keras.optimizers.SGD(1.0),
                                [model.table], [model.w])
    step = TrainStep(model, optimizer, SCHEMA, make_strategy("cpu"))
    done = step.run(iter(tf.data.Dataset.from_tensors(batch).repeat()), 4)
    assert not done.sound and done.count == 1 and np.isfinite(done.losses).all()
    assert float(model.w) == 1.0
    text = str(bad_step_error(RunDirectory(str(tmp_path)), SCHEMA.task_names, done, 1,
                              {".replica-1": step.local_batches(done)[0]}))
    assert text.startswith("the gradient of the loss should be finite. Received: NaN or infinity, "
                           "with losses {'click': ") and "in step 1, which changed no" in text
    assert (tmp_path / "bad_batch" / "step-1.replica-1.npz").exists()
