import os

import pytest
from helpers import small_row, small_schema, write_records

from dtrn_tf.data.examples import encode_example
from dtrn_tf.errors import DataError
from export.real_records import real_records

RECORDS = [encode_example(small_row(number), small_schema()) for number in range(7)]


def test_the_first_records_of_all_files(tmp_path):
    write_records(tmp_path / "test" / "a.tfrecord", RECORDS[:3])
    write_records(tmp_path / "test" / "b.tfrecord.gz", RECORDS[3:])
    for count in (1, 3, 5, 7):
        assert real_records(str(tmp_path), small_schema(), count) == RECORDS[:count]
    assert real_records(str(tmp_path), small_schema(), 100) == RECORDS
    with pytest.raises(DataError, match="valid: should be a readable directory of record files"):
        real_records(str(tmp_path), small_schema(), 1, split="valid")


def test_a_damaged_record_is_an_error_or_passed_over(tmp_path, capsys):
    path = write_records(tmp_path / "test" / "a.tfrecord", RECORDS)
    with open(path, "r+b") as file:  # a byte of the last record's data
        file.seek(os.path.getsize(path) - 9)
        file.write(b"\xff")
    with pytest.raises(DataError, match="a.tfrecord, record 6: should have the data that its"):
        real_records(str(tmp_path), small_schema(), 7)
    assert real_records(str(tmp_path), small_schema(), 6) == RECORDS[:6]
    assert real_records(str(tmp_path), small_schema(), 7, max_bad_records=1) == RECORDS[:6]
    assert "a.tfrecord: left out 1 checksum. First: " in capsys.readouterr().err


def test_records_of_another_schema_are_an_error(tmp_path):
    write_records(tmp_path / "test" / "a.tfrecord", RECORDS)
    schema = small_schema(sample_weight="importance")
    with pytest.raises(DataError, match="record 0: feature 'importance' should be present"):
        real_records(str(tmp_path), schema, 7)
