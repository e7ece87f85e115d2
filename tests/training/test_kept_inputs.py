import dataclasses

import pytest
from helpers import ITEMS, small_schema, write_small_data

from dtrn_tf.data.statistics import Moments, Statistics, load_statistics, save_statistics
from dtrn_tf.data.vocabulary import read_vocabulary, write_vocabulary
from dtrn_tf.schema import load_schema, save_schema
from dtrn_tf.training.kept_inputs import write_kept_inputs


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    """The small data with other ids and another age."""
    path = tmp_path_factory.mktemp("today")
    write_small_data(path, splits=())
    write_vocabulary(path / "vocabularies" / "item.txt", [113, 7, 101, 8])
    schema = small_schema()
    save_schema(dataclasses.replace(schema, vocabularies=(
        dataclasses.replace(schema.vocabularies[0], size=4), *schema.vocabularies[1:])),
        path / "schema.yaml")
    save_statistics(Statistics(
        numeric={"age": Moments(40.0, 5.0), "duration": Moments(1.5, 0.5)},
        base_rates={"click": 0.25}), path / "statistics.json")
    return str(path)


@pytest.mark.parametrize("keep_ids, ids", [(True, [*ITEMS, 7, 8]), (False, [113, 7, 101, 8])])
def test_ids(keep_ids, ids, today, small_data, tmp_path):
    write_kept_inputs(today, small_data, str(tmp_path), keep_ids=keep_ids, keep_statistics=True)
    assert read_vocabulary(tmp_path / "vocabularies" / "item.txt", "int64") == ids
    assert load_schema(tmp_path / "schema.yaml").vocabulary("item").size == len(ids)
    assert load_schema(tmp_path / "schema.yaml").vocabulary("city").size == 11


@pytest.mark.parametrize("keep, age, text", [
    (True, 30.0, "normalised as the weights know it:"),
    (False, 40.0, "normalised anew, which the weights do not know:")])
def test_statistics(keep, age, text, today, small_data, tmp_path):
    told = write_kept_inputs(today, small_data, str(tmp_path), keep_ids=True, keep_statistics=keep)
    statistics = load_statistics(tmp_path / "statistics.json")
    assert statistics.numeric["age"] == Moments(age, 5.0)
    assert statistics.base_rates == {"click": 0.25}
    assert text in told and told.split()[-5:] == ["age", "30", "5", "40", "5"]


def test_nothing_to_tell(small_data, tmp_path):
    assert write_kept_inputs(small_data, small_data, str(tmp_path), keep_ids=True,
                             keep_statistics=True) == ""
    assert load_schema(tmp_path / "schema.yaml") == small_schema()
