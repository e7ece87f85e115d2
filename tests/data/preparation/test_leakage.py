import dataclasses

import numpy as np
import pandas as pd
import pytest
from test_preparation import DAY, FIRST, spec_of, tables

from dtrn_tf.data.preparation.leakage import (
    check_leakage, check_no_copy_of_a_label, check_only_the_past, check_requests_in_one_split,
)
from dtrn_tf.data.preparation.ragged import Ragged
from dtrn_tf.data.preparation.record_schema import record_schema
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.splits import split_rows
from dtrn_tf.errors import DataError

SPEC = spec_of(columns={"user": "user", "item": "item", "time": "time", "request": "request"})
LOG = pd.DataFrame(
    [(3, 1, 0, 1, "a"), (3, 2, 50, 1, "a"), (3, 5, 3 * DAY - 10, 0, "c"),
     (3, 1, 3 * DAY + 10, 1, "c"), (3, 2, 6 * DAY, 0, "d"), (4, 5, 7, 0, "a")],
    columns=["user", "item", "time", "purchase", "request"]).assign(
        time=lambda log: log["time"] + FIRST)


@pytest.fixture
def rows():
    return build_rows(tables(interactions=LOG), SPEC)


def test_rows_as_built_pass(rows):
    check_leakage(rows, split_rows(rows, SPEC), record_schema(SPEC, rows))
    bought = rows.event_times["bought"]
    assert bought.lengths.tolist() == [0, 1, 2, 2, 3, 0]
    assert (bought.values - FIRST * 1000).tolist() == [
        0, 0, 50_000, 0, 50_000, 0, 50_000, 1000 * (3 * DAY + 10)]
    assert (rows.event_times["past_rate"].values - FIRST * 1000).tolist() == [
        0, 50_000, 50_000, 1000 * (3 * DAY + 10)]


def moved(rows, name, position, time):
    """Rows of which one event happened at another time."""
    times = rows.event_times[name]
    values = times.values.copy()
    values[position] = time
    return dataclasses.replace(rows, event_times={
        **rows.event_times, name: Ragged(values=values, lengths=times.lengths)})


@pytest.mark.parametrize("late", [0, 1, 5 * DAY])
def test_an_event_that_is_not_before_its_row(rows, late):
    time = int(rows.times_ms[2]) + late
    with pytest.raises(DataError, match=f"every event in 'bought' should be strictly before its row"
                                        f". Received: an event at {time} ms in a row at "
                                        rf"{rows.times_ms[2]} ms, item .*5.*user.*3.* \(1 such"):
        check_only_the_past(moved(rows, "bought", 2, time))
    check_only_the_past(moved(rows, "bought", 2, int(rows.times_ms[2]) - 1))


def test_a_statistic_that_tells_of_its_own_row(rows):
    with pytest.raises(DataError, match="every event in 'past_rate' should be strictly before"):
        check_only_the_past(moved(rows, "past_rate", 0, int(rows.times_ms[1])))


def test_a_request_is_in_the_split_of_its_first_impression(rows):
    # The part of request c after the end of train stays in train.
    assert {split: index.tolist() for split, index in split_rows(rows, SPEC).items()} == {
        "train": [0, 1, 2, 3, 5], "valid": [], "test": [4]}


def test_a_request_in_two_splits(rows):
    with pytest.raises(DataError, match="a request should be in one split. Received: one in train "
                                        "and test, item .*5"):
        check_requests_in_one_split(rows, {"train": np.array([0, 1, 2]), "test": np.array([3, 4])})


def test_a_request_that_begins_after_a_row(rows):
    late = dataclasses.replace(rows, first_impressions=np.array([0, 1, 3, 3, 4, 5]))
    with pytest.raises(DataError, match="first impression of a request should not be later than"):
        check_requests_in_one_split(late, {"train": np.arange(6)})


def copies(feature):
    """Rows of 300 impressions, one of whose inputs is `feature` of the label."""
    log = pd.DataFrame({"user": 1, "item": 1, "time": FIRST + np.arange(300),
                        "purchase": np.resize([0, 0, 1], 300)})
    log["copy"] = feature(log["purchase"].to_numpy())
    spec = spec_of(features=[
        {"name": "item", "table": "interactions", "column": "item"},
        {"name": "copied", "table": "interactions", "column": "copy"}], sequences=[])
    rows = build_rows(tables(interactions=log), spec)
    return rows, record_schema(spec, rows)


@pytest.mark.parametrize("feature", [
    lambda label: label, lambda label: 7 - 3 * label, lambda label: np.where(label, "yes", "no")])
def test_a_copy_of_a_label_under_another_name(feature):
    with pytest.raises(DataError, match="feature 'copied' should not tell the label of task 'buy'."
                                        " Received: .* in all 100 positive rows of some users"):
        check_no_copy_of_a_label(*copies(feature))


def test_almost_a_copy_is_an_input():
    def almost(label):
        label = label.copy()
        label[17] ^= 1
        return label

    check_no_copy_of_a_label(*copies(almost))


def test_a_label_of_unobserved_rows_does_not_count():
    rows, schema = copies(lambda label: label)
    rows.columns["seen"] = np.arange(300) % 2
    masked = dataclasses.replace(
        schema, tasks=(dataclasses.replace(schema.tasks[0], mask="seen"),))
    check_no_copy_of_a_label(rows, masked)  # Fewer than 100 positives are observed.
