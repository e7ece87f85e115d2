import math

import pytest
import tensorflow as tf

from dtrn_tf.errors import UserError
from dtrn_tf.training.selection import Selection, selection_value

RESULTS = {"click": {"auc": 0.6, "log_loss": 0.5}, "like": {"auc": 0.9, "log_loss": 0.1},
           "stay": {"squared_error": 2.0}}


@pytest.mark.parametrize("metric, expected", [
    ("mean_auc", 0.75), ("like/auc", 0.9), ("click/log_loss", -0.5), ("mean_log_loss", -0.3),
    ("stay/squared_error", -2.0)])
def test_value_is_larger_when_better(metric, expected):
    assert selection_value(RESULTS, metric) == pytest.approx(expected)


def test_undefined_is_left_out_of_a_mean_and_alone_is_the_worst():
    assert selection_value({"a": {"auc": math.nan}, "b": {"auc": 0.7}}, "mean_auc") == 0.7
    assert selection_value({"a": {"auc": math.nan}}, "a/auc") == -math.inf


@pytest.mark.parametrize("metric", ["auc", "lik/auc", "like/aucc", "mean_f1"])
def test_unknown_metric(metric):
    with pytest.raises(UserError, match=r"--selection_metric should be mean_METRIC or TASK/METRIC "
                                        r"with a task of \['click', 'like', 'stay'\].*Received: "
                                        f"'{metric}'"):
        selection_value(RESULTS, metric)


def _auc(value):
    return {"click": {"auc": value}}


def test_patience_counts_evaluations_since_the_best():
    selection = Selection("click/auc", patience=2)
    assert selection.update(_auc(0.6), 10)
    assert not selection.update(_auc(0.6), 20)
    assert selection.update(_auc(0.7), 30)
    assert not selection.update(_auc(0.65), 40) and not selection.should_stop
    assert not selection.update(_auc(0.69), 50) and selection.should_stop
    assert selection.best_step == 30


def test_zero_patience_never_stops():
    selection = Selection("click/auc")
    for step in range(1, 9):
        selection.update(_auc(0.9 - step / 10), step)
    assert not selection.should_stop


def test_first_evaluation_is_the_best_even_if_undefined():
    assert Selection("click/auc").update(_auc(math.nan), 1)


def test_a_checkpoint_holds_the_state(tmp_path):
    before = Selection("click/auc", patience=2)
    before.update(_auc(0.8), 10)
    before.update(_auc(0.7), 20)
    path = tf.train.Checkpoint(selection=before).save(str(tmp_path / "ckpt"))
    after = Selection("click/auc", patience=2)
    tf.train.Checkpoint(selection=after).restore(path)
    assert after.best_step == 10
    assert not after.update(_auc(0.75), 30) and after.should_stop
