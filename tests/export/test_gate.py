import math

import pytest
import tensorflow as tf
from helpers import small_records, small_schema
from scores import write_scores

from dtrn_tf import metrics
from dtrn_tf.data.examples import labels_and_weights, parse_examples
from dtrn_tf.data.reader import list_shards
from dtrn_tf.data.shards import check_shards
from dtrn_tf.errors import UserError
from export.gate import Gate, gate_table, min_auc_of_flags, present_version
from export.served_auc import served_auc

SCHEMA = small_schema()
NAN = math.nan


@pytest.fixture(scope="module")
def present(tmp_path_factory):
    """A model directory with version 3."""
    directory = tmp_path_factory.mktemp("models")
    write_scores(directory / "3", 1.0)
    return str(directory)


@pytest.fixture(scope="module")
def auc_of_present():
    raw = parse_examples(tf.constant(small_records(SCHEMA)), SCHEMA)
    labels, weights = labels_and_weights(raw, SCHEMA)
    return {task: metrics.auc(labels[task], raw["age"], weights[task])
            for task in ("click", "order", "long_view")}


@pytest.mark.parametrize("new, present, failures", [
    ({"click": 0.7, "order": 0.8}, None, []),
    ({"click": 0.69, "order": 0.8}, None, ["at least 0.7. Received: 0.6900"]),
    ({"click": NAN, "order": 0.8}, None, ["at least 0.7. Received: undefined"]),
    ({"click": 0.75, "order": 0.8}, {"click": 0.76, "order": 0.81}, []),
    ({"click": 0.75, "order": 0.8}, {"click": 0.75, "order": 0.811},
     ["order: AUC should be at most 0.01 below that of the present version, 0.8110. Received"]),
    ({"click": 0.75, "order": NAN}, {"click": 0.75, "order": NAN}, ["Received: undefined"]),
    ({"click": 0.75, "order": 0.1}, {"click": 0.75}, []),  # A new task has no past.
    ({"click": 0.6, "order": 0.8}, {"click": 0.7, "order": 0.8}, ["at least", "at most"]),
])
def test_failures(new, present, failures):
    found = Gate(min_auc={"click": 0.7}, max_auc_drop=0.0101).failures(new, present)
    assert len(found) == len(failures)
    for text, part in zip(found, failures):
        assert part.replace("0.01 ", "0.0101 ") in text


def test_without_a_drop_the_present_version_does_not_matter():
    assert Gate(min_auc={"click": 0.1}).failures({"click": 0.5}, {"click": 0.9}) == []


def test_table_holds_the_numbers_of_both():
    assert gate_table({"click": 0.7, "buy": NAN}, {"click": NAN, "buy": 0.6}).splitlines()[1:] == [
        "click     0.7000    undefined   undefined", "buy    undefined       0.6000   undefined"]


@pytest.mark.parametrize("texts", [["click"], ["=0.7"], ["click=high"], ["click=1.1"],
                                   ["click=nan"], ["click=0.7", "click=0.8"]])
def test_min_auc_flags_that_are_none(texts):
    with pytest.raises(UserError, match=r"--min_auc should be TASK=AUC .*Received: \["):
        min_auc_of_flags(texts)


def test_gate_needs_tasks_with_an_auc_and_records(small_data):
    with pytest.raises(UserError, match=r"should name binary tasks .*Received: \['rating'\]"):
        Gate(min_auc={"rating": 0.5, "click": 0.5}).records(SCHEMA, small_data)
    with pytest.raises(UserError, match="should come with --data_dir, whose valid records"):
        Gate(max_auc_drop=0.1, split="valid").records(SCHEMA, None)
    with pytest.raises(UserError, match="absent: should be a readable directory of record files"):
        Gate(max_auc_drop=0.1, split="absent").records(SCHEMA, small_data)
    assert Gate().records(SCHEMA, None) is None


def test_served_auc_is_that_of_the_signature(present, small_data, auc_of_present):
    shards = check_shards(list_shards(small_data, "test"), SCHEMA)
    found, = served_auc([f"{present}/3"], SCHEMA, shards)
    assert found == pytest.approx(auc_of_present, abs=1e-6)
    assert len(set(found.values())) == 3


def test_a_model_that_passes_is_measured_beside_the_present_one(present, small_data):
    gate = Gate(min_auc={"click": 0.01}, max_auc_drop=0.0, split="valid")
    records = gate.records(SCHEMA, small_data)
    table = gate.pass_or_fail(f"{present}/3", present, SCHEMA, records).splitlines()
    assert table[0] == "AUC on 23 valid records, present version 3:"
    assert [line.split()[-1] for line in table[2:]] == ["+0.0000"] * 3
    assert present_version(present) == f"{present}/3"


def test_a_worse_model_is_refused_with_the_numbers_of_both(
        present, small_data, tmp_path, auc_of_present):
    opposite = write_scores(tmp_path / "opposite", -1.0)
    gate = Gate(max_auc_drop=0.001)
    records = gate.records(SCHEMA, small_data)
    with pytest.raises(UserError, match="the model should pass the gate.*Nothing was exp") as error:
        gate.pass_or_fail(opposite, present, SCHEMA, records)
    lines = [line.split() for line in str(error.value).splitlines()[3:]]
    assert lines == [[task, f"{1.0 - auc:.4f}", f"{auc:.4f}", f"{1.0 - 2.0 * auc:+.4f}"]
                     for task, auc in auc_of_present.items()]
    assert present_version(str(tmp_path)) is None
    gate.pass_or_fail(opposite, str(tmp_path), SCHEMA, records)  # Without a present one.


def test_scores_that_are_no_numbers_pass_no_gate(small_data, tmp_path):
    broken = write_scores(tmp_path / "broken", NAN)
    gate = Gate(min_auc={"click": 0.0})
    with pytest.raises(UserError, match="at least 0. Received: undefined"):
        gate.pass_or_fail(broken, str(tmp_path), SCHEMA, gate.records(SCHEMA, small_data))


def test_a_present_version_that_cannot_read_the_records(small_data, tmp_path):
    write_scores(tmp_path / "1", 1.0, feature="height")
    gate = Gate(max_auc_drop=0.1)
    new = write_scores(tmp_path / "new", 1.0)
    with pytest.raises(UserError, match="/1: its signature 'examples' should take the records of "
                                        "--data_dir. Received: .*height.* Remedy: name"):
        gate.pass_or_fail(new, str(tmp_path), SCHEMA, gate.records(SCHEMA, small_data))


def test_a_present_version_that_is_no_model(small_data, tmp_path):
    (tmp_path / "1").mkdir()
    gate = Gate(max_auc_drop=0.1)
    new = write_scores(tmp_path / "new", 1.0)
    with pytest.raises(UserError, match="/1: should be a SavedModel with the signature 'examples'. "
                                        "Received: OSError: .* Remedy: leave --max_auc_drop"):
        gate.pass_or_fail(new, str(tmp_path), SCHEMA, gate.records(SCHEMA, small_data))
