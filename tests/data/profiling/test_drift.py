import dataclasses
import math

import numpy as np
import pytest
from any_records import record, write
from helpers import small_records, small_row, small_schema
from own_log import log_schema

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.profiling.drift import (
    Drift, drift_findings, measure_drift, number_features,
)
from dtrn_tf.data.profiling.finding import Limits
from dtrn_tf.data.profiling.profile import Profile, profile_files
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.schema import NumericFeature

SCHEMA = small_schema()


def _side(directory, name, records, preprocessing=lambda raw: raw, check=False):
    checks = RecordChecks(SCHEMA, preprocessing)
    path = write(directory / f"{name}.tfrecord", records)
    return profile_files([path], consumers=[checks.add] if check else []), checks


def _drifts(directory, before, now, limits=Limits()):
    drifts = measure_drift(_side(directory, "a", [record(**row) for row in before]),
                           _side(directory, "b", [record(**row) for row in now]), limits)
    return {(d.feature, d.measure): d for d in drifts if d.measure != "rate"}


def test_distances_of_hand_made_records(tmp_path):
    before = [{"item": 1, "age": 2.0, "tags": [5]}] * 3 + [{"item": 2, "tags": [5]}]
    now = [{"item": 1, "age": 2.0, "tags": [5, 5]}, {"item": 3, "age": 64.0, "tags": [5]}]
    found = _drifts(tmp_path, before, now)
    assert {key: drift.value for key, drift in found.items()} == {
        # 3/4, 1/4, 0 and 1/2, 0, 1/2.
        ("item", "values"): 0.5, ("item", "lengths"): 0.0, ("item", "presence"): 0.0,
        # (1, 0) and (1/2, 1/2).
        ("age", "numbers"): pytest.approx(0.3112781), ("age", "lengths"): 0.0,
        ("age", "presence"): 0.25,
        ("tags", "values"): 0.0, ("tags", "lengths"): pytest.approx(0.3112781),
        ("tags", "presence"): 0.0}
    assert found["item", "values"].text == (
        "3 had 0.00% before, has 50.00% now; 50.00% are ids that the baseline does not have")
    assert found["age", "presence"].text == "in 75.00% of the records before, in 100.00% now"
    assert found["age", "numbers"].text == "median 2 before, 2 now"
    assert found["tags", "lengths"].text == "mean length 1 before, 1.5 now"


def test_a_feature_that_one_side_lacks_or_has_with_another_type(tmp_path):
    found = _drifts(tmp_path, [{"a": 1, "b": 1}], [{"b": 1.0, "c": "x"}])
    assert {key: drift.value for key, drift in found.items()} == {
        ("a", "presence"): 1.0, ("b", "presence"): 0.0, ("c", "presence"): 1.0}


def test_one_number_of_a_long_list(tmp_path):
    """A number that dies is lost among all others, but not by itself."""
    random = np.random.default_rng(5)
    sides = random.normal(size=(2, 200, 101))
    sides[:, :, 7] += 3.0
    sides[1, :, 7] = 0.0
    found = _drifts(tmp_path, *([{"dense": row.tolist()} for row in side] for side in sides))
    assert found["dense", "numbers"].value < 0.05
    # One that varies against one that does not.
    assert found["dense", "element"].value > 0.99
    assert found["dense", "element"].text.startswith("number 7 of each list has mean ")
    assert found["dense", "element"].text.endswith(
        "before, mean 0, std 0 now; 1 of 101 numbers are beyond the limit")


def test_equal_lists_have_not_moved(tmp_path):
    rows = [{"dense": [0.1, 1e6, float(n), 0.0]} for n in range(9)]
    assert _drifts(tmp_path, rows, rows)["dense", "element"].value < 1e-9


def test_whole_numbers_that_the_schema_reads_as_numbers(tmp_path):
    """Every value is rare, so none of them moves by much."""
    schema = dataclasses.replace(SCHEMA, features=(
        *SCHEMA.features, NumericFeature(name="views", level="request", dtype="int64")))
    sides = []
    for name, first in (("a", 1000), ("b", 8000)):
        path = write(tmp_path / f"{name}.tfrecord", [
            record(views=first + 10 * n, item=first + 10 * n) for n in range(100)])
        sides.append((profile_files([path]), RecordChecks(schema, lambda raw: raw)))
    found = {(d.feature, d.measure): d.value for d in measure_drift(*sides, Limits())}
    assert found["views", "numbers"] == 1.0 and ("views", "values") not in found
    assert found["item", "values"] == pytest.approx(0.01)


def test_times_are_no_numbers_that_drift():
    schema = log_schema()
    assert number_features(schema) == {"dense", "item-views"}


def test_findings_follow_the_limits(tmp_path):
    before = [{"item": n % 4} for n in range(2000)]
    now = [{"item": n % 4 if n % 5 else 0} for n in range(2000)]
    # The share of 0 rises from 1/4 to 1/4 + 3/4/5.
    for limit, severity in ((0.14, "error"), (0.16, "warning"), (0.31, None)):
        limits = Limits(values=limit)
        sides = [_side(tmp_path, name, [record(**row) for row in rows])
                 for name, rows in (("a", before), ("b", now))]
        found = drift_findings(measure_drift(*sides, limits), sides[0][0], sides[1][0], limits)
        assert [f.severity for f in found] == [severity] * (severity is not None)
    assert found == [] and sides[0][0].records == 2000


def test_a_finding_says_what_has_moved():
    drift = Drift(feature="item", measure="values", value=0.5, limit=0.1, text="7 had 1%")
    profile = Profile()
    profile.records = 1000
    finding, = drift_findings([drift], profile, profile, Limits())
    assert (finding.severity, finding.check, finding.feature) == ("error", "drift_values", "item")
    assert finding.message == ("L-infinity distance of the ids of 'item' should be at most 0.1 "
                               "from the baseline's. Received: 0.5000; 7 had 1%.")


def test_few_records_are_said_to_be_noise(tmp_path):
    few, many = Profile(), Profile()
    few.records, many.records = 999, 1000
    finding, = drift_findings([], few, many, Limits())
    assert (finding.severity, finding.check) == ("warning", "few_records")
    assert "Received: 999 and 1,000." in finding.message
    assert drift_findings([], many, many, Limits()) == []


def test_positive_rates(small_data, tmp_path):
    """46 records with half of the clicks positive, then a rate of 1 in 10, and one like before."""
    preprocessing = Preprocessing(SCHEMA, small_data)
    before = _side(tmp_path, "a", small_records(SCHEMA, 46), preprocessing, check=True)
    rare = [encode_example(small_row(n, is_click=int(n % 10 == 0)), SCHEMA) for n in range(100)]
    now = _side(tmp_path, "b", rare, preprocessing, check=True)
    drifts = {d.feature: d for d in measure_drift(before, now, Limits()) if d.measure == "rate"}
    assert set(drifts) == {"click", "order", "long_view"}  # A regression has no rate.
    assert drifts["click"].value == pytest.approx(math.log2(5))
    assert drifts["click"].limit == 1.0 and drifts["click"].text == "50.000% before, 10.000% now"
    # 14 of 46 and 32 of 100 differ by less than chance allows.
    assert drifts["order"].value == 0.0
    assert drifts["order"].text == ("30.435% before, 32.000% now (within three standard errors)")
