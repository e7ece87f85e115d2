"""Findings about records against their schema."""

from __future__ import annotations

from collections.abc import Iterator

from dtrn_tf.data.profiling.finding import Finding, Limits
from dtrn_tf.data.profiling.occurrences import Occurrences, add_to
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.record_checks import RecordChecks


def schema_findings(profile: Profile, checks: RecordChecks, limits: Limits) -> list[Finding]:
    """What is wrong with records, errors first.

    Args:
        profile: What was seen.
        checks: What training would make of the same records.
        limits: From when on something is an error or a warning.
    """
    found = [*bad_record_findings(profile), *_unfit(profile, checks), *_extra(profile, checks),
             *_not_finite(profile, checks, limits), *_unknown(checks, limits),
             *_too_long(profile, checks), *_labels(profile, checks)]
    return sorted(found, key=lambda finding: finding.severity != "error")


def bad_record_findings(profile: Profile) -> list[Finding]:
    """Records that cannot be read or are no Examples, one finding for each reason."""
    by_reason: dict[str, Occurrences] = {}
    for (_, reason), found in profile.bad.items():
        add_to(by_reason, reason, found)
    findings = [Finding(severity="error", check=reason, message=found.example,
                        of=profile.records + profile.num_bad).at(found)
                for reason, found in by_reason.items()]
    if not profile.records:
        findings.append(Finding(severity="error", check="no_records", message=(
            f"the {len(profile.files)} files should hold records. Received: none that can be "
            "read.")))
    return findings


def _unfit(profile: Profile, checks: RecordChecks) -> Iterator[Finding]:
    for (reason, feature), found in checks.unfit.items():
        yield Finding(severity="error", check=reason, feature=feature, message=found.example,
                      of=profile.records).at(found)


def _extra(profile: Profile, checks: RecordChecks) -> Iterator[Finding]:
    known = {feature.name for feature in checks.schema.record_features}
    for name, seen in profile.features.items():
        if name not in known:
            yield Finding(severity="warning", check="extra", feature=name, count=seen.present,
                          of=profile.records, message=(
                              f"feature {name!r} is in the records and not in the schema, so it is "
                              "not read. Add it to the schema, or leave it out of the records."))


def _not_finite(profile: Profile, checks: RecordChecks, limits: Limits) -> Iterator[Finding]:
    for name, found in checks.not_finite.items():
        numbers = profile.features[name].numbers
        of = numbers.count + numbers.num_nan + numbers.num_inf
        severity = limits.severity(found.count / of, limits.not_finite)
        if severity:
            yield Finding(severity=severity, check="not_finite", feature=name, of=of, message=(
                f"the numbers of feature {name!r} should be finite. Received: {numbers.num_nan:,} "
                f"NaN and {numbers.num_inf:,} infinities (first: {found.example}), which training "
                "takes for the mean.")).at(found)


def _unknown(checks: RecordChecks, limits: Limits) -> Iterator[Finding]:
    for feature in checks.schema.id_features:
        found = checks.unknown.get(feature.name)
        severity = found and limits.severity(found.count / checks.num_ids[feature.name],
                                             limits.out_of_vocabulary)
        if found and severity:
            yield Finding(
                severity=severity, check="out_of_vocabulary", feature=feature.name,
                of=checks.num_ids[feature.name], message=(
                    f"ids of field {feature.name!r} should be in vocabulary "
                    f"{feature.vocabulary!r}; an unknown one has the embedding that all unknown "
                    "ids share. Make the vocabulary of newer records, or of more.")).at(found)


def _too_long(profile: Profile, checks: RecordChecks) -> Iterator[Finding]:
    for behavior in checks.schema.behaviors:
        found = checks.too_long.get(behavior.name)
        if found:
            yield Finding(severity="warning", check="too_long", feature=behavior.name,
                          of=profile.records, message=(
                              f"sequences of behaviour {behavior.name!r} are cut to the newest "
                              f"`max_length` {behavior.max_length} positions; the first longer one "
                              f"has {found.example}.")).at(found)


def _labels(profile: Profile, checks: RecordChecks) -> Iterator[Finding]:
    for task in checks.schema.tasks:
        number, total = checks.num_labels[task.name], checks.label_sums[task.name]
        if profile.records and not number:
            yield Finding(severity="error", check="no_labels", feature=task.name, message=(
                f"task {task.name!r} should have observed labels. Received: none."))
        elif number and task.kind == "binary" and total in (0, number):
            kind = "negative" if total == 0 else "positive"
            yield Finding(severity="error", check="one_class", feature=task.name,
                          count=int(total), of=number, message=(
                              f"labels of task {task.name!r} should be of both classes. Received: "
                              f"{number:,} labels, all {kind}. Look at its label rule."))
