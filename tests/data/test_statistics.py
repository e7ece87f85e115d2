import json

import numpy as np
import pytest

from dtrn_tf.data.statistics import Moments, Statistics, load_statistics, save_statistics
from dtrn_tf.errors import DataError


def test_round_trip_and_layout(tmp_path):
    path = tmp_path / "statistics.json"
    statistics = Statistics(numeric={"age": Moments(np.float32(2.5), 0.0)},
                            base_rates={"click": np.float64(0.1)})
    save_statistics(statistics, path)
    assert load_statistics(path) == statistics
    assert json.loads(path.read_text()) == {
        "numeric": {"age": {"mean": 2.5, "std": 0.0}}, "base_rates": {"click": 0.1}}
    assert [p.name for p in tmp_path.iterdir()] == ["statistics.json"]


def test_save_rejects_nan_and_writes_nothing(tmp_path):
    with pytest.raises(DataError, match=r"base rate of task 'click' should be a finite number\. "
                                        r"Received: nan"):
        save_statistics(Statistics(base_rates={"click": float("nan")}), tmp_path / "s.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content, message", [
    ("{", r"s\.json: should be JSON\. Received: .*Run prepare again"),
    ("[1]", r"s\.json: should hold the mappings \['numeric', 'base_rates'\]\. Received: \[1\]"),
    ('{"numeric": {}}', r"should hold the mappings .* Received: \{'numeric'"),
    ('{"numeric": {"age": {"mean": 1}}, "base_rates": {}}',
     r"feature 'age' should have the numbers \['mean', 'std'\]\. Received: \{'mean': 1\}"),
    ('{"numeric": {"age": {"mean": "x", "std": 1}}, "base_rates": {}}',
     r"`mean` of feature 'age' should be a finite number\. Received: 'x'"),
    ('{"numeric": {"age": {"mean": 0, "std": -1}}, "base_rates": {}}',
     r"`std` of feature 'age' should be a finite number >= 0.0\. Received: -1"),
    ('{"numeric": {"age": {"mean": NaN, "std": 1}}, "base_rates": {}}', r"`mean`.*Received: nan"),
    ('{"numeric": {"age": {"mean": [0, "x"], "std": [1, 1]}}, "base_rates": {}}',
     r"`mean` of feature 'age' should be a finite number\. Received: 'x'"),
    ('{"numeric": {"age": {"mean": [0, 0], "std": [1, -1]}}, "base_rates": {}}',
     r"`std` of feature 'age' should be a finite number >= 0.0\. Received: -1"),
    ('{"numeric": {}, "base_rates": {"click": true}}', r"task 'click'.*Received: True"),
])
def test_load_rejects(tmp_path, content, message):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(DataError, match=message):
        load_statistics(tmp_path / "s.json")


def test_load_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"s\.json: should be a readable statistics file\. "
                                        r"Received: No such file.*Run prepare again"):
        load_statistics(tmp_path / "s.json")


def test_moments_of_several_numbers(tmp_path):
    path = tmp_path / "statistics.json"
    save_statistics(Statistics(numeric={"user": Moments(np.float32([0.5, 1]), [2, 0])}), path)
    assert load_statistics(path).numeric == {"user": Moments((0.5, 1.0), (2.0, 0.0))}
    assert json.loads(path.read_text())["numeric"] == {
        "user": {"mean": [0.5, 1.0], "std": [2.0, 0.0]}}
