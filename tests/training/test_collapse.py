import numpy as np
import pytest
import tensorflow as tf
from tqdm import tqdm

from dtrn_tf.training.collapse import collapsed
from dtrn_tf.training.reporter import Reporter
from dtrn_tf.training.watch import Watched

EVEN = np.full([2, 4], 0.25)


@pytest.mark.parametrize("entropies, shares, expected", [
    ([1.0, 1.0], EVEN, []),
    ([0.049, 1.0], EVEN, ["click uses one expert of gate tasks alone"]),
    ([0.051, 1.0], [[0.4, 0.4, 0.19, 0.01], [0.5, 0.4, 0.09, 0.01]],
     ["no mixture uses expert 3 of gate tasks"]),
    # One of the mixtures uses it: that is specialisation.
    ([0.9, 0.9], [[0.4, 0.4, 0.2, 0.0], [0.2, 0.3, 0.3, 0.2]], []),
])
def test_what_has_collapsed(entropies, shares, expected):
    assert list(collapsed("tasks", ["click", "buy"], np.array(entropies), np.array(shares))
                ) == expected


def test_a_warning_comes_once(capsys):
    seen = Watched(tf.ones(2), tf.eye(2), {"tasks": tf.constant([0.01, 1.0])},
                   {"tasks": tf.constant(EVEN)})
    with tqdm(disable=True) as progress:
        reporter = Reporter(["click", "buy"], progress)
        for step in (10, 20):
            reporter.watched(seen, step)
    assert capsys.readouterr().err == (
        "warning: step 10: click uses one expert of gate tasks alone; see docs/watching.md\n")
