import numpy as np
import pytest
import tensorflow as tf

from benchmarks.table_updates import OPTIMIZERS, draw, state_bytes, update_steps
from dtrn_tf.optimizers import ROW_OPTIMIZER_NAMES, make_row_optimizer


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss_but_none(optimizer):
    # One row besides padding, so that the ids that are drawn make no difference.
    call = update_steps(optimizer, rows=2, width=2, num_ids=5, ids="uniform", steps=3)
    before, after = call(), call()
    assert (after < before) == (optimizer != "no update")


@pytest.mark.parametrize("kind, share", [("uniform", 0.5), ("popular", np.log(50) / np.log(100))])
def test_ids_are_rows_but_padding(kind, share):
    ids = draw(kind, rows=100, num_ids=20_000).numpy()
    assert (ids.min(), ids.max()) == (1, 99)
    assert abs((ids < 50).mean() - share) < 0.02


@pytest.mark.parametrize("name", ROW_OPTIMIZER_NAMES)
def test_memory_is_that_of_the_slots(name):
    optimizer, table = make_row_optimizer(name, 0.1), tf.Variable(tf.zeros((7, 5)))
    optimizer.build([table])
    slots = [v for v in optimizer.variables if v.shape.rank == 2 and v is not table]
    assert sum(int(tf.size(slot)) for slot in slots) * 4 == 7 * state_bytes(name, width=5)
