"""Every finding about records and their schema once, with its exact numbers."""

import dataclasses

import pytest
import tensorflow as tf
from any_records import write
from helpers import ITEMS, small_records, small_request, small_row, small_schema

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.profiling.finding import Limits
from dtrn_tf.data.profiling.profile import profile_files
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.data.profiling.schema_findings import schema_findings
from dtrn_tf.data.record_file import frame

SCHEMA = small_schema()
# All rows of the first 23 fit; the sequences of 4, 9, 14 and 19 are longer than `max_length`.
GOOD = small_records(SCHEMA)


@pytest.fixture(scope="module")
def find(small_data, tmp_path_factory):
    """Findings of a file with some records, without those of the good ones."""
    preprocessing = Preprocessing(SCHEMA, small_data)
    directory = tmp_path_factory.mktemp("findings")
    traced = RecordChecks(SCHEMA, preprocessing)._read  # Tracing takes longer than all else.

    def find(*records, limits=Limits(), good=GOOD):
        path = write(directory / "a.tfrecord", [*good, *records])
        checks = RecordChecks(SCHEMA, preprocessing)
        checks._read = traced
        profile = profile_files([path], consumers=[checks.add])
        return [f for f in schema_findings(profile, checks, limits) if f.check != "too_long"]

    find.path = str(directory / "a.tfrecord")
    return find


def _without(row, name):
    example = tf.train.Example.FromString(encode_example(row, SCHEMA))
    del example.features.feature[name]
    return example.SerializeToString()


def _with(row, name, **values):
    example = tf.train.Example.FromString(encode_example(row, SCHEMA))
    example.features.feature[name].CopyFrom(tf.train.Feature(**values))
    return example.SerializeToString()


def _numbers(finding):
    return (finding.severity, finding.check, finding.feature, finding.count, finding.of,
            finding.record)


def test_good_records_have_no_findings_but_long_sequences(small_data, tmp_path):
    checks = RecordChecks(SCHEMA, Preprocessing(SCHEMA, small_data))
    path = write(tmp_path / "a.tfrecord", GOOD)
    finding, = schema_findings(profile_files([path], consumers=[checks.add]), checks, Limits())
    assert _numbers(finding) == ("warning", "too_long", "exposed", 4, 23, 4)
    assert finding.message == ("sequences of behaviour 'exposed' are cut to the newest "
                               "`max_length` 3 positions; the first longer one has 4.")
    assert finding.file == path and finding.share == 4 / 23
    assert checks.num_labels == {"click": 23, "order": 23, "long_view": 23, "rating": 11}
    # Odd numbers are clicks; codes 4 and 5 of 0..5 orders; 7..10 of 0..10 long views.
    assert checks.label_sums == {
        "click": 11, "order": 7, "long_view": sum(n % 11 >= 7 for n in range(23)),
        "rating": sum(n % 5 for n in range(1, 23, 2))}
    assert checks.num_ids["item"] == 23 and checks.unknown == {}


@pytest.mark.parametrize("record, check, feature, message", [
    (_without(small_row(1), "item"), "missing", "item", "feature 'item' should be present"),
    (_without(small_row(1), "liked_item"), "missing", "liked_item",
     "feature 'liked_item' should be present"),
    (_with(small_row(1), "age", int64_list={"value": [3]}), "wrong_type", "age",
     "feature 'age' should be one number"),
    (_with(small_row(1), "liked_item", bytes_list={"value": [b"x"]}), "wrong_type", "liked_item",
     "feature 'liked_item' should be a list of 64-bit integers"),
    (_with(small_row(1), "tab", int64_list={"value": [3, 4]}), "wrong_count", "tab",
     "feature 'tab' should be one 64-bit integer"),
    (_with(small_row(3), "exposed_author", bytes_list={"value": [b"ann"]}), "wrong_count",
     "exposed_item", "the sequences of behaviour 'exposed' should be of equal length"),
    (_with(small_row(1), "is_click", int64_list={"value": [2]}), "bad_label", "is_click",
     "label feature 'is_click' of task 'click' should be 0 or 1"),
    (_with(small_row(1), "play_time", float_list={"value": [float("nan")]}), "bad_label",
     "play_time", "label feature 'play_time' of task 'long_view' should be a finite number"),
    (_with(small_row(1), "row_weight", float_list={"value": [-1.0]}), "bad_weight", "row_weight",
     "sample weight 'row_weight' should be a finite number >= 0"),
])
def test_a_record_that_does_not_fit(find, record, check, feature, message):
    found = [f for f in find(GOOD[0], record, record) if f.check != "not_finite"]
    assert [_numbers(f) for f in found] == [("error", check, feature, 2, 26, 24)]
    assert found[0].file == find.path
    assert found[0].message.startswith(f"{find.path}, record 24: {message}")


def test_different_problems_are_told_apart(find):
    found = find(_without(small_row(1), "item"), _without(small_row(1), "tab"), GOOD[0],
                 _without(small_row(2), "item"))
    assert [_numbers(f) for f in found] == [
        ("error", "missing", "item", 2, 27, 23), ("error", "missing", "tab", 1, 27, 24)]


def test_a_feature_that_the_schema_does_not_know(find):
    finding, = find(*[_with(small_row(n), "new", int64_list={"value": [1]}) for n in (0, 1, 2)])
    assert _numbers(finding) == ("warning", "extra", "new", 3, 26, None)
    assert "feature 'new' is in the records and not in the schema" in finding.message


def test_numbers_that_are_not_finite(find):
    bad = [_with(small_row(1), "age", float_list={"value": [value]})
           for value in (float("nan"), float("inf"), float("nan"))]
    finding, = find(*bad)
    assert _numbers(finding) == ("error", "not_finite", "age", 3, 26, 23)
    assert "Received: 2 NaN and 1 infinities (first: nan)" in finding.message
    limits = Limits(not_finite=0.2)
    assert [f.severity for f in find(*bad, limits=limits)] == ["warning"]
    assert find(*bad[:2], limits=limits) == []


def test_ids_that_the_vocabulary_does_not_know(find):
    rows = [encode_example(small_row(1, tab=7, item=999, liked_item=[ITEMS[0], 5, 6]), SCHEMA)
            for _ in range(7)]
    found = {f.feature: _numbers(f) for f in find(*rows)}
    liked = sum(n % 3 for n in range(23))
    assert found == {
        "item": ("error", "out_of_vocabulary", "item", 7, 30, 23),
        "tab": ("error", "out_of_vocabulary", "tab", 7, 30, 23),
        # Of each new sequence the newest two positions are read.
        "liked_item": ("error", "out_of_vocabulary", "liked_item", 14, liked + 14, 23)}
    found = find(*rows[:4])
    assert [(f.feature, f.severity) for f in found] == [
        ("liked_item", "error"), ("item", "warning"), ("tab", "warning")]
    assert find(*rows[:4], limits=Limits(out_of_vocabulary=1.0)) == []


def test_labels_of_one_class_or_of_none(find):
    rows = [encode_example(small_row(n, is_click=0, code=5), SCHEMA) for n in range(9)]
    found = {f.check + " " + f.feature: f for f in find(*rows, good=[])}
    assert set(found) == {"one_class click", "one_class order", "no_labels rating"}
    assert _numbers(found["one_class click"]) == ("error", "one_class", "click", 0, 9, None)
    assert "Received: 9 labels, all negative" in found["one_class click"].message
    assert "Received: 9 labels, all positive" in found["one_class order"].message
    assert "task 'rating' should have observed labels" in found["no_labels rating"].message


def test_padding_makes_no_sequence_too_long(small_data, tmp_path):
    exposed, liked = SCHEMA.behaviors
    schema = small_schema(behaviors=(dataclasses.replace(exposed, padding=ITEMS[0]), liked))
    checks = RecordChecks(schema, Preprocessing(schema, small_data))
    rows = [small_row(0, exposed_item=items, exposed_author=["ann"] * 4)
            for items in ([*ITEMS[:4]], [*ITEMS[1:5]])]
    path = write(tmp_path / "a.tfrecord", [encode_example(row, schema) for row in rows])
    profile_files([path], consumers=[checks.add])
    assert dataclasses.astuple(checks.too_long["exposed"]) == (1, path, 1, "4")


def test_damaged_files(find, tmp_path):
    whole = [frame(record) for record in GOOD[:4]]
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(b"".join([*whole[:3], frame(b"\xff"), whole[3][:-9]]))
    checks = RecordChecks(SCHEMA, lambda raw: raw)
    profile = profile_files([str(path)])
    found = schema_findings(profile, checks, Limits())
    found = {f.check: f for f in found if not f.feature}
    assert {name: _numbers(f) for name, f in found.items()} == {
        "not_example": ("error", "not_example", "", 1, 5, 3), "cut": ("error", "cut", "", 1, 5, 4)}
    assert found["cut"].message.startswith(f"{path}, record 4: should be whole")


def test_no_records_at_all(tmp_path):
    path = tmp_path / "empty.tfrecord"
    path.touch()
    profile = profile_files([str(path)])
    found = schema_findings(profile, RecordChecks(SCHEMA, lambda raw: raw), Limits())
    assert [f.check for f in found] == ["empty", "no_records"]
    assert "the 1 files should hold records. Received: none that can be read." in found[1].message


def test_requests_count_candidates_and_name_the_record(small_data, tmp_path):
    schema = small_schema(layout="request")
    checks = RecordChecks(schema, Preprocessing(schema, small_data))
    requests = [small_request((0, 1, 2)), small_request((3, 4), item=[103, 999])]
    path = write(tmp_path / "a.tfrecord", [encode_example(r, schema) for r in requests])
    profile_files([path], consumers=[checks.add])
    assert checks.num_ids["item"] == 5 and checks.num_ids["tab"] == 2
    assert dataclasses.astuple(checks.unknown["item"])[:3] == (1, path, 1)
    assert checks.num_labels["click"] == 5 and checks.label_sums["click"] == 2
