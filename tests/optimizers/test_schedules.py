import math

import numpy as np
import pytest
import tensorflow as tf
from descent import Descent

from dtrn_tf.optimizers import (SCHEDULE_NAMES, PairedOptimizer, RowOptimizer, Schedule,
                                make_optimizer, make_schedule)

keras = tf.keras


def _rates(name, steps, **arguments):
    schedule = make_schedule(name, 0.4, **{"total_steps": 10, **arguments})
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize("name, expected", [
    # Step 2 ends the warm-up; of the 8 steps of decay 0, 2, 4, 8 and 10 are done.
    ("linear", [0.4, 0.325, 0.25, 0.1, 0.1]),
    ("cosine", [0.4, 0.1 + 0.3 * (1 + math.cos(math.pi / 4)) / 2, 0.25, 0.1, 0.1]),
    ("exponential", [0.4, 0.4 * 0.25 ** 0.25, 0.2, 0.1, 0.4 * 0.25 ** 1.25]),
    ("constant", [0.4] * 5),
])
def test_by_hand(name, expected):
    arguments = {"warmup_steps": 2, "final_share": 0.25}
    assert _rates(name, [0, 1], **arguments) == pytest.approx([0.2, 0.4])
    assert _rates(name, [2, 4, 6, 10, 12], **arguments) == pytest.approx(expected, rel=1e-6)


def test_without_a_schedule_the_rate_is_a_number():
    assert make_schedule("constant", 0.4, total_steps=10) == 0.4


@pytest.mark.parametrize("arguments, text", [
    ({"name": "cosin"}, r"`name` should be one of .*'cosine'.*Received: 'cosin'"),
    ({"warmup_steps": 10}, "should leave some of the 10 steps to the decay. Received: 10"),
    ({"final_share": 1.5}, "`final_share` should be from 0 to 1.*Received: 1.5"),
    ({"final_share": 0.0}, "for 'exponential' more than 0. Received: 0.0"),
])
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        make_schedule(**{"name": "exponential", "learning_rate": 0.1, "total_steps": 10,
                         **arguments})


def _paired(name, total_steps):
    rate = make_schedule(name, 1.0, total_steps=total_steps, final_share=0.5)
    rows = RowOptimizer(Descent(), rate)
    dense = keras.optimizers.SGD(rate.counted_by(rows.steps))
    table, weight = keras.Variable([[0.0], [0.0]]), keras.Variable([0.0])
    return PairedOptimizer(rows, dense, [table], [weight]), table, weight


def _step(optimizer):
    optimizer.apply([tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([1])), tf.constant([1.0])])


@pytest.mark.parametrize("name", [name for name in SCHEDULE_NAMES if name != "constant"])
def test_tables_and_dense_weights_go_by_one_count_that_checkpoints_keep(name, tmp_path):
    optimizer, table, weight = _paired(name, 4)
    step = tf.function(_step, autograph=False)  # the rate is no constant of the graph
    path = ""
    for number in range(4):
        step(optimizer)
        if number == 1:
            path = tf.train.Checkpoint(o=optimizer, t=table, w=weight).save(f"{tmp_path}/c")
    schedule = make_schedule(name, 1.0, total_steps=4, final_share=0.5)
    moved = -sum(float(schedule(number)) for number in range(4))
    np.testing.assert_allclose([table[1, 0], weight[0]], [moved] * 2, rtol=1e-6)
    assert -4.0 < moved < -2.0
    resumed, *variables = _paired(name, 4)
    tf.train.Checkpoint(o=resumed, t=variables[0], w=variables[1]).restore(path)
    for _ in range(2):
        _step(resumed)
    np.testing.assert_allclose([variables[0][1, 0], variables[1][0]], [moved] * 2, rtol=1e-6)


def test_earlier_steps_count_for_the_rule_and_not_for_the_schedule():
    """What `LazyAdam` corrects has been corrected by then; the schedule begins anew."""
    class Scaled(Descent):
        def scale(self, step):
            return step

    table = tf.Variable([[0.0], [0.0]])
    optimizer = RowOptimizer(Scaled(), lambda step: tf.cast(step, tf.float32) + 1.0)
    optimizer.build([table])
    optimizer.steps_before.assign(10)
    optimizer.apply([tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([1]))])
    assert float(table[1, 0]) == -11.0  # rate 1, scale 11


def test_an_optimiser_of_keras_takes_a_schedule():
    weight = keras.Variable([0.0])
    optimizer = make_optimizer("adam", Schedule(lambda step: 0.5, warmup_steps=5))
    optimizer.apply_gradients([(tf.constant([1.0]), weight)])
    assert float(weight[0]) == pytest.approx(-0.1, rel=1e-4)
