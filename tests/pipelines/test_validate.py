import json
import os
import subprocess
import sys

import pytest
from helpers import small_records, small_row, small_schema, write_records, write_small_data

from dtrn_tf.data.examples import encode_example

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytestmark = pytest.mark.slow


def run(*flags):
    done = subprocess.run([sys.executable, "-m", "pipelines.validate", *flags], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def test_good_records_pass_and_a_sample_is_the_beginning_of_every_file(tmp_path):
    data = write_small_data(tmp_path / "data", shards=2, splits=["test"])
    bad = encode_example(small_row(0, is_click=3), small_schema())
    write_records(f"{data}/test/part-00001-of-00002.tfrecord",
                  [*small_records(small_schema(), 8), bad])
    code, out, err = run(f"--data_dir={data}", "--split=test", "--max_records=16",
                         f"--output_dir={tmp_path}/report")
    assert code == 0, err
    assert out.startswith(f"{data}/test: 16 records of 2 files, 0 bad records (")
    assert "passed: 0 errors, 1 warnings" in out  # Some sequences are cut.
    with open(tmp_path / "report" / "report.json", encoding="utf-8") as file:
        report = json.load(file)
    assert report["passed"] and report["sample"] and report["baseline"] is None
    assert [(f["check"], f["feature"], f["count"]) for f in report["findings"]] == [
        ("too_long", "exposed", 3)]
    assert "Validation passed" in (tmp_path / "report" / "report.html").read_text()


def test_errors_and_drift_fail(tmp_path):
    """A later day with a record of a wrong label, new items, no likes; its schema is elsewhere."""
    schema = small_schema()
    data = write_small_data(tmp_path / "data", splits=["train"])
    rows = [small_row(n, item=999, liked_item=[]) for n in range(20)]
    write_records(tmp_path / "today" / "serving" / "a.tfrecord",
                  [encode_example(row, schema) for row in rows]
                  + [encode_example(small_row(3, is_click=7), schema)])
    code, out, err = run(
        f"--data_dir={tmp_path}/today", "--split=serving", f"--baseline_dir={data}",
        "--max_jsd=0.05", f"--output_dir={tmp_path}/report")
    assert code == 1, err
    with open(tmp_path / "report" / "report.json", encoding="utf-8") as file:
        report = json.load(file)
    found = {(f["check"], f["feature"]): f for f in report["findings"]}
    assert found["bad_label", "is_click"]["record"] == 20
    assert found["out_of_vocabulary", "item"]["count"] == 20
    assert found["drift_values", "item"]["severity"] == "error"
    assert found["drift_lengths", "liked_item"]["severity"] == "error"
    assert report["limits"]["numbers"] == 0.05 and report["baseline"]["records"] == 23
    errors = sum(f["severity"] == "error" for f in report["findings"])
    assert "bad_label" in out and f"failed: {errors} errors" in out


def test_what_cannot_be_done_is_an_error_of_its_own(tmp_path):
    data = write_small_data(tmp_path / "data", shards=1, splits=["train"])
    code, out, err = run(f"--data_dir={data}", "--baseline_split=train")
    assert code == 2 and "Traceback" not in err
    assert ("error: the baseline should be other records than those of --data_dir and --split. "
            f"Received: {data}/train for both.") in err
