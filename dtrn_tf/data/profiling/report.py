"""A validation as plain values for JSON, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dtrn_tf.data.profiling.drift import Drift, plain_value
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.finding import Finding, Limits
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.text_table import text_table

_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_TOP = 20
_SHOWN_DRIFTS = 10


@dataclass(frozen=True, kw_only=True)
class Side:
    """Records that were read: where they are and what was found.

    Args:
        name: What people call them, for example `data/test`.
        profile: What was seen.
        checks: What training would make of them.
    """

    name: str
    profile: Profile
    checks: RecordChecks


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Everything that a report says.

    Args:
        present: The records that were validated.
        baseline: What they were compared to, if anything.
        findings: Errors first.
        drifts: The largest first; empty without a baseline.
        limits: Which value was an error.
        is_sample: Whether only some of the records were read.
    """

    present: Side
    baseline: Side | None
    findings: Sequence[Finding]
    drifts: Sequence[Drift]
    limits: Limits
    is_sample: bool

    @property
    def num_errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def passed(self) -> bool:
        return not self.num_errors


def to_json(validation: Validation) -> dict[str, Any]:
    """Everything as plain lists and dicts."""
    return {
        "passed": validation.passed,
        "sample": validation.is_sample,
        "limits": asdict(validation.limits),
        "findings": [{**asdict(finding), "share": finding.share}
                     for finding in validation.findings],
        "drift": [asdict(drift) for drift in validation.drifts],
        "data": _side(validation.present),
        "baseline": _side(validation.baseline) if validation.baseline else None,
    }


def findings_table(findings: Sequence[Finding]) -> str:
    """One line per finding."""
    if not findings:
        return "no findings"
    rows = [["finding", "of", "severity", "count", "share", "first at"]]
    rows += [[f.check, f.feature or "records", f.severity, f"{f.count:,}" if f.of else "",
              share_text(f.share), place_text(f)] for f in findings]
    return text_table(rows)


def tasks_table(validation: Validation) -> str:
    """Labels and positive rates (means of regressions), beside the baseline's."""
    rows = [["task", "labels", "mean label"] + ["baseline"] * bool(validation.baseline)]
    for task in validation.present.checks.schema.tasks:
        sides = [validation.present, *([validation.baseline] if validation.baseline else [])]
        number = validation.present.checks.num_labels[task.name]
        rows.append([task.name, f"{number:,}", *(f"{mean_label(side, task.name):.4g}"
                                                 for side in sides)])
    return text_table(rows)


def drift_table(drifts: Sequence[Drift]) -> str:
    """The largest distances in units of their limits."""
    rows = [["drift", "of", "distance", "limit"]]
    rows += [[d.measure, d.feature, f"{d.value:.4f}", f"{d.limit:.4g}"]
             for d in drifts[:_SHOWN_DRIFTS]]
    return text_table(rows)


def features_table(profile: Profile) -> str:
    """One line per feature of the records: what was seen."""
    rows = [["feature", "type", "present", "values", "distinct", "range or most frequent"]]
    rows += [[name, kind_text(seen), f"{profile.presence(name):.2%}", lengths_text(seen),
              distinct_text(seen), range_text(seen)] for name, seen in profile.features.items()]
    return text_table(rows)


def share_text(share: float | None) -> str:
    """A share with enough digits to tell it from none.

    >>> share_text(0.25), share_text(0.00001), share_text(None)
    ('25.00%', '0.001%', '')
    """
    if share is None:
        return ""
    return f"{share:.2%}" if share >= 0.001 or not share else f"{share:.1g}" if share < 1e-6 else (
        f"{100 * share:.1g}%")


def place_text(finding: Finding) -> str:
    """Where a finding was made first."""
    return f"{finding.file}, record {finding.record}" if finding.file else ""


def mean_label(side: Side, task: str) -> float:
    """Mean of the observed labels, NaN without labels."""
    number = side.checks.num_labels[task]
    return side.checks.label_sums[task] / number if number else float("nan")


def kind_text(seen: FeatureProfile) -> str:
    """The type; others that some records have after it."""
    others = [kind for kind in sorted(seen.kinds) if kind != seen.kind]
    return "/".join([seen.kind, *others])


def lengths_text(seen: FeatureProfile) -> str:
    """How many values a record holds."""
    least, most = min(seen.lengths, default=0), max(seen.lengths, default=0)
    return str(least) if least == most else f"{least}..{most}"


def distinct_text(seen: FeatureProfile) -> str:
    """How many values differ; `>=` if they were not all counted."""
    if seen.kind == "none":
        return ""
    return f"{'>= ' if seen.values.is_capped else ''}{seen.values.distinct:,}"


def range_text(seen: FeatureProfile) -> str:
    """Range and median of numbers, the most frequent strings."""
    if seen.kind == "string":
        return ", ".join(f"{plain_value(value)!r:.20}" for value, _ in seen.values.top(3))
    numbers = seen.numbers
    if not numbers.count:
        return ""
    bad = numbers.num_nan + numbers.num_inf
    return (f"{numbers.minimum:g}..{numbers.maximum:g}, median {numbers.quantile(0.5):.4g}"
            + (f", {bad:,} not finite" if bad else ""))


def _side(side: Side) -> dict[str, Any]:
    profile, checks = side.profile, side.checks
    return {
        "name": side.name,
        "records": profile.records,
        "bad_records": [{"file": file, "reason": reason, "count": found.count,
                         "first_record": found.record}
                        for (file, reason), found in profile.bad.items()],
        "files": profile.files,
        "tasks": {t.name: {"labels": checks.num_labels[t.name], "mean": mean_label(side, t.name)}
                  for t in checks.schema.tasks},
        "out_of_vocabulary": {
            name: {"ids": number, "unknown": found.count if (found := checks.unknown.get(name))
                   else 0} for name, number in checks.num_ids.items()},
        "features": {name: _feature(profile, name, seen)
                     for name, seen in profile.features.items()},
    }


def _feature(profile: Profile, name: str, seen: FeatureProfile) -> dict[str, Any]:
    result: dict[str, Any] = {
        "kinds": dict(seen.kinds), "presence": profile.presence(name),
        "lengths": {str(length): count for length, count in sorted(seen.lengths.items())[:_TOP]},
        "max_length": seen.max_length,
        "distinct": seen.values.distinct, "distinct_is_at_least": seen.values.is_capped,
        "top": [[plain_value(value), count] for value, count in seen.values.top(_TOP)],
    }
    if seen.numbers.count or seen.numbers.num_nan or seen.numbers.num_inf:
        numbers = seen.numbers
        result["numbers"] = {
            "min": numbers.minimum, "max": numbers.maximum, "zero": numbers.num_zero,
            "nan": numbers.num_nan, "infinite": numbers.num_inf,
            "quantiles": {str(share): numbers.quantile(share) for share in _QUANTILES}}
    return result
