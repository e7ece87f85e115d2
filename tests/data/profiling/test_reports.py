import json
import re
from html.parser import HTMLParser

import pytest
from any_records import write
from helpers import small_row, small_schema

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.profiling import report
from dtrn_tf.data.profiling.drift import drift_findings, measure_drift
from dtrn_tf.data.profiling.finding import Limits
from dtrn_tf.data.profiling.html_report import html_report, write_report
from dtrn_tf.data.profiling.profile import profile_files
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.data.profiling.report import Side, Validation
from dtrn_tf.data.profiling.schema_findings import schema_findings
from dtrn_tf.data.profiling.svg import bars, columns
from dtrn_tf.errors import UserError

SCHEMA = small_schema()
_VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def validation(small_data, tmp_path_factory):
    """Ten rows, two of them with an author of angle brackets and an age that is NaN."""
    directory = tmp_path_factory.mktemp("reports")
    preprocessing = Preprocessing(SCHEMA, small_data)
    rows = [small_row(n, **({"author": "<b>&", "age": float("nan")} if n in (3, 7) else {}))
            for n in range(10)]

    def side(name, some):
        checks = RecordChecks(SCHEMA, preprocessing)
        path = write(directory / f"{name}.tfrecord", [encode_example(r, SCHEMA) for r in some])
        return Side(name=f"data/{name}", checks=checks,
                    profile=profile_files([path], consumers=[checks.add]))

    present, baseline = side("test", rows), side("train", map(small_row, range(20)))
    limits = Limits()
    drifts = measure_drift((baseline.profile, baseline.checks),
                           (present.profile, present.checks), limits)
    findings = [*schema_findings(present.profile, present.checks, limits),
                *drift_findings(drifts, baseline.profile, present.profile, limits)]
    return Validation(present=present, baseline=baseline, findings=findings, drifts=drifts,
                      limits=limits, is_sample=False)


class _Page(HTMLParser):
    """Checks that tags nest; collects their names, attributes and the text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_json_holds_everything(validation, tmp_path):
    write_report(validation, str(tmp_path / "made"))
    assert (tmp_path / "made" / "report.html").read_text() == html_report(validation)
    content = json.loads((tmp_path / "made" / "report.json").read_text())
    assert content["passed"] is False and content["sample"] is False
    assert content["limits"]["values"] == 0.1
    nan, = [f for f in content["findings"] if f["check"] == "not_finite"]
    assert (nan["feature"], nan["count"], nan["of"], nan["share"], nan["record"]) == (
        "age", 2, 10, 0.2, 3)
    data = content["data"]
    assert (data["name"], data["records"], data["bad_records"]) == ("data/test", 10, [])
    assert data["tasks"]["click"] == {"labels": 10, "mean": 0.5}
    assert data["out_of_vocabulary"]["author"] == {"ids": 10, "unknown": 2}
    assert data["features"]["age"]["numbers"]["nan"] == 2
    assert data["features"]["author"]["top"][0] == ["ann", 3]
    assert data["features"]["liked_item"]["lengths"] == {"0": 4, "1": 3, "2": 3}
    assert content["baseline"]["records"] == 20
    assert {"feature": "author", "measure": "values", "limit": 0.1}.items() <= next(
        d for d in content["drift"] if (d["feature"], d["measure"]) == ("author", "values")).items()


def test_a_place_that_cannot_be_written(validation, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--output_dir=.*file/report should be a directory that can "
                                        "be written"):
        write_report(validation, str(tmp_path / "file" / "report"))


def test_tables_for_a_terminal(validation):
    table = report.findings_table(validation.findings).splitlines()
    assert table[0].split() == ["finding", "of", "severity", "count", "share", "first", "at"]
    line = next(line for line in table if line.startswith("not_finite"))
    path = next(iter(validation.present.profile.files))
    assert line.split() == ["not_finite", "age", "error", "2", "20.00%", f"{path},", "record", "3"]
    assert report.tasks_table(validation).splitlines()[1].split() == ["click", "10", "0.5", "0.5"]
    assert report.drift_table(validation.drifts).splitlines()[0].split() == [
        "drift", "of", "distance", "limit"]
    features = report.features_table(validation.present.profile)
    assert re.search(r"age +float32 +100.00% +1 +8 +20..29, median \d+, 2 not finite", features)
    assert report.findings_table([]) == "no findings"


def test_the_page_is_well_formed_and_shows_the_numbers(validation):
    page = _Page(html_report(validation))
    assert page.tags.count("svg") >= len(validation.present.profile.features)
    assert "script" not in page.tags and "link" not in page.tags
    assert not any(name in ("src", "href") for name, _ in page.attributes)
    assert "prefers-color-scheme: dark" in page.text
    for finding in validation.findings:
        assert finding.message in page.text and report.place_text(finding) in page.text
    for text in ("Validation failed", "10 records of 1 files", "20.00%", "<b>&", "data/train",
                 "feature or task", "median"):
        assert text in page.text
    assert "b" not in page.tags


def test_a_page_without_findings_or_baseline(validation):
    alone = Validation(present=validation.present, baseline=None, findings=[], drifts=[],
                       limits=Limits(), is_sample=True)
    page = _Page(html_report(alone))
    assert "Validation passed" in page.text and "None." in page.text
    assert "a sample of the beginning of each file" in page.text
    assert "Drift" not in page.text and alone.passed and not validation.passed


def test_bars_are_as_long_as_their_values():
    chart = _Page(bars(["a<", "b"], [[1.0, 0.5], [0.0, 2.0]], [["1", "½"], ["0", "2"]], width=372))
    widths = [float(value) for name, value in chart.attributes if name == "width"][1:]
    assert widths == [100.0, 0.0, 50.0, 200.0]  # The largest takes the room beside the texts.
    assert "a<: 1" in chart.text


def test_columns_are_shares_of_their_own_series():
    chart = _Page(columns(["0", "1"], [[3, 1], [10, 10]], ("0", "1"), height=80))
    heights = [float(value) for name, value in chart.attributes if name == "height"][1:]
    assert heights == pytest.approx([80.0, 80 / 3, 160 / 3, 160 / 3], abs=0.05)
    assert "0: 75.00%" in chart.text and "1: 50.00%" in chart.text
    _Page(columns([], [[]], ("", "")))
