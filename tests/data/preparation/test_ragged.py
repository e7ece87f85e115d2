import numpy as np

from dtrn_tf.data.preparation.ragged import Ragged, flat_ranges


def test_take_equals_a_list_of_lists():
    rng = np.random.default_rng(5)
    lengths = rng.integers(0, 4, size=17)
    ragged = Ragged(values=np.arange(lengths.sum()), lengths=lengths)
    rows = rng.integers(0, 17, size=11)
    assert ragged.take(rows).lists() == [ragged.lists()[row] for row in rows]


def test_no_ranges():
    assert flat_ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
