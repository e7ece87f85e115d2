"""What optimisers remember goes with the ids and names that it belongs to."""

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.models.axis import Axis
from dtrn_tf.models.labeled_weights import LabeledWeight
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer
from dtrn_tf.training.carried_slots import carry_slots

keras = tf.keras
OLD_IDS, NEW_IDS = ["pad", "unknown", "a", "b", "c"], ["pad", "unknown", "c", "new", "a"]
OLD_TASKS, NEW_TASKS = ["click", "buy"], ["like", "buy", "click"]
ROWS = ["unknown", "a", "c"]


class _Side:
    """A table over ids and tasks, a dense weight over tasks, and their optimiser."""

    def __init__(self, ids, tasks, rows, dense):
        axes = Axis("id", ids), Axis("task", tasks)
        self.ids, self.tasks = ids, tasks
        self.table = keras.Variable(np.zeros((len(ids), len(tasks)), np.float32))
        self.weight = keras.Variable(np.zeros(len(tasks), np.float32))
        self.labeled = {"table": LabeledWeight("table", self.table, axes),
                        "weight": LabeledWeight("weight", self.weight, axes[1:])}
        self.optimizer = PairedOptimizer(make_row_optimizer(rows, 0.1), make_optimizer(dense, 0.1),
                                         [self.table], [self.weight])

    def step(self, number):
        """Gradients of old rows and tasks that depend on their names, and nothing for new ones."""
        random = np.random.default_rng(number)
        of_task = {task: random.normal(size=4) for task in OLD_TASKS}
        gradient = np.array([of_task.get(task, np.zeros(4)) for task in self.tasks], np.float32).T
        ids = tf.constant([self.ids.index(row) for row in ROWS])
        self.optimizer.apply([tf.IndexedSlices(tf.constant(gradient[:3]), ids),
                              tf.constant(gradient[3])])

    def known(self):
        places = [self.ids.index(row) for row in ROWS]
        tasks = [self.tasks.index(task) for task in OLD_TASKS]
        return np.array(self.table)[np.ix_(places, tasks)], np.array(self.weight)[tasks]


@pytest.mark.parametrize("rows, dense", [("lazy_adam", "adam"), ("rowwise_adagrad", "adagrad")])
def test_goes_on_as_if_the_order_had_never_changed(rows, dense):
    # A row's one number of Adagrad is a mean over all columns, which new ones would change.
    new_tasks = NEW_TASKS if rows == "lazy_adam" else NEW_TASKS[1:]
    old, new = _Side(OLD_IDS, OLD_TASKS, rows, dense), _Side(NEW_IDS, new_tasks, rows, dense)
    for number in range(3):
        old.step(number)
    pairs = {name: (weight, old.labeled[name]) for name, weight in new.labeled.items()}
    assert carry_slots(new.optimizer, old.optimizer, pairs) == []
    assert int(new.optimizer.embedding.steps) == 0  # a schedule begins anew
    assert int(new.optimizer.embedding.steps_before) == int(new.optimizer.dense.iterations) == 3
    slots = np.array(new.optimizer.embedding.slots[0])
    assert not slots[3].any() and slots[[1, 2, 4]].any(axis=1).all()
    before, start = old.known(), new.known()
    for number in range(3, 5):
        old.step(number)
        new.step(number)
    for got, first, wanted, last in zip(new.known(), start, old.known(), before):
        assert np.abs(wanted - last).min() > 1e-3
        np.testing.assert_allclose(got - first, wanted - last, rtol=1e-4, atol=1e-6)


def test_what_was_frozen_there_begins_anew():
    old, new = (_Side(OLD_IDS, OLD_TASKS, "lazy_adam", "adam") for _ in range(2))
    old.optimizer = PairedOptimizer(make_row_optimizer("lazy_adam", 0.1),
                                    make_optimizer("adam", 0.1), [], [old.weight])
    old.optimizer.apply([tf.constant([1.0, 2.0])])
    pairs = {name: (weight, old.labeled[name]) for name, weight in new.labeled.items()}
    assert carry_slots(new.optimizer, old.optimizer, pairs) == ["table"]
    assert not np.array(new.optimizer.embedding.slots[0]).any()
    np.testing.assert_allclose(new.optimizer.dense.variables[2], [0.1, 0.2], rtol=1e-6)
