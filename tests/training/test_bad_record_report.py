import json
import os

import pytest

from dtrn_tf.data.record_file import BadRecord
from dtrn_tf.errors import UserError
from dtrn_tf.training import RunDirectory, report_bad_records


def _bad(number, reason="checksum"):
    return BadRecord(file="data/train/a.tfrecord", number=number, reason=reason,
                     message=f"data/train/a.tfrecord, record {number}: damaged.")


def test_a_run_goes_on_with_the_same_bad_records_only(tmp_path, capsys):
    run = RunDirectory(str(tmp_path))
    records = {"train": [_bad(2), _bad(5)], "valid": []}
    expected = {"train": {"a.tfrecord": {"checksum": 2}}, "valid": {}}
    assert report_bad_records(records, run) == report_bad_records(records, run) == expected
    line = ("data/train/a.tfrecord: left out 2 checksum. First: data/train/a.tfrecord, record 2: "
            "damaged.\n")
    assert capsys.readouterr().err == 2 * line
    assert len(os.listdir(tmp_path / "tensorboard")) == 1  # written once
    assert json.loads((tmp_path / "bad_records.json").read_text())["valid"] == []
    with pytest.raises(UserError, match=r"bad_records\.json: a run goes on only with the records "
                                        r"that it began with.*\('train', 'a.tfrecord', 5, 'checks"):
        report_bad_records({"train": [_bad(2)], "valid": []}, run)
