import math

import numpy as np
import pytest
import tensorflow as tf
from helpers import AUTHORS, ITEMS, small_schema, write_small_data

from dtrn_tf.data.examples import check_examples, parse_examples
from dtrn_tf.errors import DataError
from export.sample_records import sample_records


@pytest.fixture(scope="module")
def records(run_dir):
    return sample_records(small_schema(), run_dir, 300)


def test_every_record_fits_the_schema(records):
    assert len(records) == 300
    for number, record in enumerate(records):
        check_examples(record, small_schema(), f"record {number}")


def test_the_same_seed_gives_the_same_records(run_dir, records):
    assert sample_records(small_schema(), run_dir, 20) == records[:20]
    assert sample_records(small_schema(), run_dir, 20, seed=1) != records[:20]


def test_records_hold_everything_a_server_may_meet(records):
    raw = parse_examples(tf.constant(records), small_schema(), labels=False)
    for name, known in (("item", set(ITEMS)), ("tab", set(range(7))),
                        ("author", {author.encode() for author in AUTHORS})):
        found = set(raw[name].numpy().tolist())
        assert known <= found and found - known
    for name, max_length in (("exposed_item", 3), ("exposed_author", 3), ("liked_item", 2)):
        lengths = raw[name].row_lengths().numpy()
        assert lengths[0] == 0 and lengths[1] == max_length + 3
        assert set(lengths) == set(range(max_length + 4))
    numbers = raw["age"].numpy()
    assert np.isnan(numbers).any() and (numbers < 0).any() and (numbers > 0).any()
    assert not math.isnan(numbers[0])


def test_a_missing_vocabulary_is_an_error(tmp_path):
    directory = write_small_data(tmp_path, splits=())
    (tmp_path / "vocabularies" / "item.txt").unlink()
    with pytest.raises(DataError, match="item.txt: should be a readable vocabulary file"):
        sample_records(small_schema(), directory, 1)
