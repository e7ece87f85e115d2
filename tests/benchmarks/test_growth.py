import dataclasses
import sys

import pandas as pd
import pytest

from benchmarks import growth, scaling_plot
from benchmarks.reference_point import ReferencePoint
from dtrn_tf.errors import UserError

POINT = ReferencePoint(batch_size=16, num_items=50, max_length=5, num_behaviors=2)


def test_one_size_changes_at_a_time():
    found = list(growth.points(POINT, {"T": [1, 2], "L": [5, 9], "D": [32, 64]}))
    assert found == [POINT, dataclasses.replace(POINT, num_behaviors=1),
                     dataclasses.replace(POINT, max_length=9), dataclasses.replace(POINT, width=64)]


def table():
    rows = [{"K": k, "T": t, "L": 5, "D": d, "ratio": k / 10, "low": k / 20, "high": k / 5}
            for t, d in [(2, 32), (1, 32), (2, 64)] for k in (1, 2)]
    return pd.DataFrame(rows)


def test_a_panel_shows_the_rows_around_the_reference():
    rows = scaling_plot._around(table(), {"T": 2, "L": 5, "D": 32}, "T")
    assert rows[["T", "D", "K"]].values.tolist() == [[2, 32, 1], [2, 32, 2], [1, 32, 1], [1, 32, 2]]


def test_plot(tmp_path):
    path = tmp_path / "scaling.png"
    scaling_plot.draw(table(), POINT, str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"matplotlib should be installed .*\[benchmarks\]"):
        scaling_plot.check_matplotlib()
