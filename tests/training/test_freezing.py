import numpy as np
import pytest
import tensorflow as tf
from helpers import small_schema

from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.errors import UserError
from dtrn_tf.layers import MMoE, TaskInterest, TaskRefinement
from dtrn_tf.models import DTRN
from dtrn_tf.models.weight_names import weight_names
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer
from dtrn_tf.training import TrainStep, make_strategy
from dtrn_tf.training.freezing import freeze


def _model(interest=None):
    model = DTRN(small_schema(), network=MMoE(4, 2, (5,)), interest=interest,
                 refinement=TaskRefinement(4, (3,)), wide=True)
    model.build()
    return model


def test_names_are_those_of_the_places_and_equal_in_every_model():
    names = list(weight_names(_model(TaskInterest(4))))
    assert names == list(weight_names(_model(TaskInterest(4)))) and len(names) == len(set(names))
    assert {"embedding/item", "wide/city", "interest/tasks", "liked_embedding/positions",
            "network/experts/hidden/0/kernel", "refinement/excitation/bias", "towers/heads/kernel",
            "request_numeric_embedding/bias"} <= set(names)


@pytest.mark.parametrize("patterns, text", [
    (["towers/*", "embeding/*"], r"--freeze should be patterns of names of weights. Received: "
     r"'embeding/\*', which matches none of: .*embedding/item.*towers/heads/kernel"),
    (["*"], r"--freeze should leave something to train. Received: \*, which matches all"),
])
def test_patterns_that_cannot_be(patterns, text):
    with pytest.raises(UserError, match=text):
        freeze(_model(), patterns)


@pytest.mark.parametrize("patterns", [["embedding/*", "network/gates/*", "*/positions"],
                                      ["embedding/*", "wide/*"],  # no table is left
                                      ["[!ew]*"]])                # nothing but tables is left
def test_frozen_weights_keep_every_bit_and_others_train(patterns, small_data):
    model = _model()
    names = weight_names(model)
    frozen = freeze(model, patterns)
    before = {name: np.array(weight) for name, weight in names.items()}
    optimizer = PairedOptimizer(
        make_row_optimizer("lazy_adam", 0.1, weight_decay=0.3), make_optimizer("adam", 0.1),
        model.embedding_tables, model.dense_weights)
    assert len(optimizer.targets) == len(names) - len(frozen)
    dataset = read_records(
        list_shards(small_data, "train"), model.schema, Preprocessing(model.schema, small_data),
        batch_size=9, repeat=True)
    TrainStep(model, optimizer, model.schema, make_strategy("cpu")).run(iter(dataset), 3)
    changed = {name for name, weight in names.items() if not np.array_equal(weight, before[name])}
    assert changed == set(names) - set(frozen)
    assert not {id(names[name]) for name in frozen} & {id(w) for w in model.shared_weights}


def test_a_frozen_model_is_saved_and_loaded(tmp_path):
    model = _model()
    freeze(model, ["embedding/*"])
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    for name, weight in weight_names(loaded).items():
        np.testing.assert_array_equal(weight, weight_names(model)[name])
