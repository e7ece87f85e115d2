"""Check records against their schema, and for drift against earlier records.

    python -m pipelines.validate --data_dir=DATA --split=test
    python -m pipelines.validate --data_dir=DATA --split=test --baseline_split=train
    python -m pipelines.validate --data_dir=TODAY --baseline_dir=DATA --output_dir=REPORT

reads DATA/SPLIT/*.tfrecord[.gz] and prints what is wrong with it, how often, and where first; with
--output_dir also REPORT/report.json and REPORT/report.html, one page with charts. Exit code 0: no
errors (there may be warnings). 1: errors. 2: it could not be done, for example a wrong flag.
"""

from __future__ import annotations

import os
import textwrap
import time

from absl import flags
from tqdm import tqdm

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.profiling import report
from dtrn_tf.data.profiling.drift import drift_findings, measure_drift
from dtrn_tf.data.profiling.finding import Limits
from dtrn_tf.data.profiling.html_report import write_report
from dtrn_tf.data.profiling.profile import profile_files
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.data.profiling.report import Side, Validation
from dtrn_tf.data.profiling.schema_findings import schema_findings
from dtrn_tf.data.reader import list_shards
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema, load_schema

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Directory with the split's shards.",
                                required=True)
_SPLIT = flags.DEFINE_string("split", "train", "Which split to check, a directory in --data_dir.")
_SCHEMA = flags.DEFINE_string(
    "schema", None, "The schema, with vocabularies and statistics beside it; by default "
    "DATA_DIR/schema.yaml, or that of --baseline_dir if there is none.")
_BASELINE_DIR = flags.DEFINE_string(
    "baseline_dir", None, "Directory of the records to compare with; by default --data_dir.")
_BASELINE_SPLIT = flags.DEFINE_string(
    "baseline_split", None, "Split to compare with; by default train if --baseline_dir is given.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where to write report.json and report.html.")
_MAX_RECORDS = flags.DEFINE_integer(
    "max_records", 0, "Records to read, about equally many of the beginning of each file; 0 reads "
    "all.", lower_bound=0)
_MAX_VALUES = flags.DEFINE_integer(
    "max_values", 100_000, "Different values of a feature that are counted exactly; of more, the "
    "most frequent. A feature with more takes about 20 MB.", lower_bound=1)
_MAX_OOV_SHARE = flags.DEFINE_float(
    "max_oov_share", Limits.out_of_vocabulary, "More unknown ids of a field are an error.",
    lower_bound=0.0)
_MAX_NAN_SHARE = flags.DEFINE_float(
    "max_nan_share", Limits.not_finite, "More NaN or infinite numbers of a feature are an error.",
    lower_bound=0.0)
_MAX_LINF = flags.DEFINE_float(
    "max_linf", Limits.values, "Drift: the most by which the share of one id may change "
    "(L-infinity distance).", lower_bound=0.0)
_MAX_JSD = flags.DEFINE_float(
    "max_jsd", Limits.numbers, "Drift: the largest Jensen-Shannon divergence (0 to 1) of numbers "
    "and of list lengths.", lower_bound=0.0)
_MAX_PRESENCE_CHANGE = flags.DEFINE_float(
    "max_presence_change", Limits.presence, "Drift: the most by which the share of records with a "
    "feature may change.", lower_bound=0.0)
_MAX_RATE_FACTOR = flags.DEFINE_float(
    "max_rate_factor", Limits.rate_factor, "Drift: the largest factor by which a positive rate may "
    "rise or fall.", lower_bound=1.0)
# What the screen shows of the messages; the report has all of them.
_SHOWN, _MESSAGE = 10, 400


def main() -> int:
    limits = Limits(out_of_vocabulary=_MAX_OOV_SHARE.value, not_finite=_MAX_NAN_SHARE.value,
                    values=_MAX_LINF.value, numbers=_MAX_JSD.value,
                    presence=_MAX_PRESENCE_CHANGE.value, rate_factor=_MAX_RATE_FACTOR.value)
    baseline_place = _baseline_place()
    schema_path = _schema_path(baseline_place)
    schema = load_schema(schema_path)
    preprocessing = Preprocessing(schema, os.path.dirname(schema_path))
    present = _read(_DATA_DIR.value, _SPLIT.value, schema, preprocessing)
    findings = schema_findings(present.profile, present.checks, limits)
    baseline, drifts = None, []
    if baseline_place:
        baseline = _read(*baseline_place, schema, preprocessing)
        drifts = measure_drift((baseline.profile, baseline.checks),
                               (present.profile, present.checks), limits)
        findings += drift_findings(drifts, baseline.profile, present.profile, limits)
    validation = Validation(
        present=present, baseline=baseline, limits=limits, drifts=drifts,
        findings=sorted(findings, key=lambda finding: finding.severity != "error"),
        is_sample=_MAX_RECORDS.value > 0)
    _print(validation)
    if _OUTPUT_DIR.value:
        write_report(validation, _OUTPUT_DIR.value)
        print(f"written: {_OUTPUT_DIR.value}/report.json, {_OUTPUT_DIR.value}/report.html")
    return 0 if validation.passed else 1


def _baseline_place() -> tuple[str, str] | None:
    if _BASELINE_DIR.value is None and _BASELINE_SPLIT.value is None:
        return None
    place = (_BASELINE_DIR.value or _DATA_DIR.value, _BASELINE_SPLIT.value or "train")
    both = {os.path.abspath(os.path.join(*p)) for p in (place, (_DATA_DIR.value, _SPLIT.value))}
    if len(both) == 1:
        raise UserError("the baseline should be other records than those of --data_dir and "
                        f"--split. Received: {os.path.join(*place)} for both.")
    return place


def _schema_path(baseline_place: tuple[str, str] | None) -> str:
    if _SCHEMA.value:
        return _SCHEMA.value
    own = os.path.join(_DATA_DIR.value, "schema.yaml")
    if baseline_place and not os.path.exists(own):
        return os.path.join(baseline_place[0], "schema.yaml")
    return own


def _read(directory: str, split: str, schema: Schema, preprocessing: Preprocessing) -> Side:
    files = list_shards(directory, split)
    checks = RecordChecks(schema, preprocessing)
    start = time.monotonic()
    with tqdm(unit=" records", desc=split, leave=False, disable=None) as bar:
        profile = profile_files(files, max_records=_MAX_RECORDS.value,
                                max_values=_MAX_VALUES.value, consumers=[checks.add],
                                progress=bar.update)
    name = os.path.join(directory, split)
    print(f"{name}: {profile.records:,} records of {len(files):,} files, {profile.num_bad:,} bad "
          f"records ({profile.records / (time.monotonic() - start):,.0f} records/s)")
    return Side(name=name, profile=profile, checks=checks)


def _print(validation: Validation) -> None:
    print(f"\n{report.tasks_table(validation)}\n\n{report.findings_table(validation.findings)}\n")
    for finding in validation.findings[:_SHOWN]:
        print(textwrap.shorten(f"{finding.severity}: {finding.message}", _MESSAGE))
    if validation.drifts:
        print(f"\n{report.drift_table(validation.drifts)}")
    warnings = len(validation.findings) - validation.num_errors
    print(f"\n{'passed' if validation.passed else 'failed'}: {validation.num_errors} errors, "
          f"{warnings} warnings")


if __name__ == "__main__":
    program.run(main, error_code=2)
