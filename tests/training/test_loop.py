import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.errors import UserError
from dtrn_tf.layers import MMoE, TaskInterest, TaskRefinement
from dtrn_tf.models import DTRN
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer
from dtrn_tf.schema import load_schema
from dtrn_tf.training import RunDirectory, Selection, Trainer, TrainStep, make_strategy


def _trainer(data_dir, path, *, total_steps, aucs=(0.6,), patience=0, learning_rate=0.02,
             eval_every=4):
    tf.keras.utils.set_random_seed(3)
    schema = load_schema(f"{data_dir}/schema.yaml")
    dataset = read_records(list_shards(data_dir, "train"), schema, Preprocessing(schema, data_dir),
                           batch_size=5, shuffle_buffer=50, seed=1, repeat=True)
    model = DTRN(schema, network=MMoE(4, 2, (5,), dropout=0.3), interest=TaskInterest(4),
                 refinement=TaskRefinement(4, (3,)), dropout=0.3)
    model.build()
    optimizer = PairedOptimizer(
        make_row_optimizer("lazy_adam", learning_rate),
        make_optimizer("adam", learning_rate), model.embedding_tables,
        model.dense_weights)
    values = iter(aucs)
    last = aucs[-1]
    trainer = Trainer(
        model=model, step=TrainStep(model, optimizer, schema, make_strategy("cpu")),
        optimizer=optimizer, iterator=iter(dataset),
        evaluate=lambda: {"click": {"auc": next(values, last)}},
        selection=Selection("click/auc", patience), run=RunDirectory(str(path)),
        total_steps=total_steps, eval_every=eval_every, checkpoint_every=3, steps_per_call=2)
    return trainer, model


def test_a_resumed_run_equals_an_uninterrupted_one(small_data, tmp_path):
    whole, model = _trainer(small_data, tmp_path / "whole", total_steps=10)
    whole.restore()
    whole.train()
    expected = model.get_weights()
    # Ends at step 6, as if killed; dropout, shuffling and Adam's slots must go on where they were.
    first, _ = _trainer(small_data, tmp_path / "parts", total_steps=6)
    assert first.restore() == 0
    first.train()
    second, model = _trainer(small_data, tmp_path / "parts", total_steps=10)
    assert second.restore() == 6
    summary = second.train()
    assert summary["steps"] == 10
    # 4 steps of 5 rows in this process; seconds and examples/s are rounded.
    assert summary["examples_per_second"] * summary["seconds"] == pytest.approx(
        20, rel=0.5, abs=0.5 * summary["seconds"])
    for got, wanted in zip(model.get_weights(), expected):
        np.testing.assert_array_equal(got, wanted)


def test_patience_ends_training_and_the_best_model_is_kept(small_data, tmp_path):
    trainer, model = _trainer(small_data, tmp_path, total_steps=100, patience=2,
                              aucs=(0.6, 0.7, 0.65, 0.66, 0.9))
    summary = trainer.train()
    assert (summary["steps"], summary["best_step"]) == (16, 8)
    best = tf.keras.models.load_model(tmp_path / "best" / "model.keras")
    assert not np.array_equal(best.get_weights()[0], model.get_weights()[0])
    assert RunDirectory(str(tmp_path)).read_best() == {"step": 8, "valid": {"click": {"auc": 0.7}}}


def test_the_last_step_is_evaluated_and_curves_are_written(small_data, tmp_path):
    trainer, _ = _trainer(small_data, tmp_path, total_steps=6, aucs=(0.6, 0.8))
    assert trainer.train()["best_step"] == 6
    tags = set()
    for path in (tmp_path / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {(value.tag, event.step) for value in event.summary.value}
    assert {("train/loss/click", 2), ("train/loss/rating", 6), ("valid/auc/click", 4),
            ("valid/auc/click", 6)} <= tags


def test_a_loss_that_is_not_finite_stops_the_run(small_data, tmp_path):
    trainer, _ = _trainer(small_data, tmp_path, total_steps=50, learning_rate=1e30)
    with pytest.raises(UserError, match=r"the loss of task '.*' should be finite. Received: .* "
                                        r"in step \d+, which changed no weight. Remedy: .*"
                                        r"bad_batch/step-\d+\.npz .*learning rates"):
        trainer.train()
    assert len(list((tmp_path / "bad_batch").iterdir())) == 2


def test_a_finished_run_has_nothing_left_to_do(small_data, tmp_path):
    trainer, _ = _trainer(small_data, tmp_path, total_steps=4)
    trainer.train()
    again, model = _trainer(small_data, tmp_path, total_steps=4)
    assert again.restore() == 4
    before = model.get_weights()[0].copy()
    assert again.train()["steps"] == 4
    np.testing.assert_array_equal(model.get_weights()[0], before)
