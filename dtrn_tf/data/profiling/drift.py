"""How far records have moved from others, feature by feature and task by task."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dtrn_tf.data.profiling.distances import (
    l_infinity, length_distance, normal_distance, number_distance, unseen_share,
)
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.finding import Finding, Limits
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.schema import Schema

# Of fewer records, the distances are mostly noise.
MIN_RECORDS = 1000
# A change of a rate that chance makes in one of 370 cases counts as none.
_STANDARD_ERRORS = 3.0


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One distance between the baseline's and the present records.

    Args:
        feature: Feature of the records; for `rate` the task.
        measure: `presence` (difference of shares of records), `values` (L-infinity distance of
            ids), `numbers`, `lengths` (Jensen-Shannon divergence, bits), `element` (squared
            Hellinger distance of the number of a list that moved most) or `rate` (|log2| of the
            ratio of positive rates).
        value: The distance.
        limit: From which value on it is an error.
        text: What lies behind it, for people.
    """

    feature: str
    measure: str
    value: float
    limit: float
    text: str


def measure_drift(
    baseline: tuple[Profile, RecordChecks], present: tuple[Profile, RecordChecks], limits: Limits
) -> list[Drift]:
    """All distances, the largest in units of their limits first.

    Args:
        baseline: What the records should resemble, for example those trained on.
        present: For example those of a later day.
        limits: From when on a distance is an error.
    """
    a, b = baseline[0], present[0]
    numbers = number_features(present[1].schema)
    found = [*_rates(baseline[1], present[1], limits)]
    for name in sorted({**a.features, **b.features}):
        found.append(_presence(name, a, b, limits))
        if name in a.features and name in b.features:
            found += _distributions(name, a.features[name], b.features[name], limits,
                                    are_numbers=name in numbers)
    return sorted(found, key=lambda drift: -drift.value / (drift.limit or 1e-9))


def drift_findings(
    drifts: list[Drift], baseline: Profile, present: Profile, limits: Limits
) -> list[Finding]:
    """Findings of the distances that are beyond their limits, errors first."""
    found = [
        Finding(severity=severity, check=f"drift_{drift.measure}", feature=drift.feature, message=(
            f"{_MEASURES[drift.measure]} of {drift.feature!r} should be at most "
            f"{drift.limit:.4g} from the baseline's. Received: {drift.value:.4f}; {drift.text}."))
        for drift in drifts if (severity := limits.severity(drift.value, drift.limit))]
    fewest = min(baseline.records, present.records)
    if fewest < MIN_RECORDS:
        found.append(Finding(severity="warning", check="few_records", message=(
            f"drift should be measured on at least {MIN_RECORDS} records a side, as distances of "
            f"fewer are mostly noise. Received: {baseline.records:,} and {present.records:,}.")))
    return sorted(found, key=lambda finding: finding.severity != "error")


_MEASURES = {
    "presence": "presence", "values": "L-infinity distance of the ids",
    "numbers": "Jensen-Shannon divergence of the numbers",
    "element": "squared Hellinger distance of one number of the lists",
    "lengths": "Jensen-Shannon divergence of the lengths",
    "rate": "|log2 of the ratio| of the positive rate",
}


def _presence(name: str, a: Profile, b: Profile, limits: Limits) -> Drift:
    before, now = a.presence(name), b.presence(name)
    return Drift(feature=name, measure="presence", value=abs(now - before), limit=limits.presence,
                 text=f"in {before:.2%} of the records before, in {now:.2%} now")


def _distributions(
    name: str, a: FeatureProfile, b: FeatureProfile, limits: Limits, are_numbers: bool
) -> Iterator[Drift]:
    if a.kind != b.kind or a.kind == "none":
        return  # A change of the type is a finding of the schema.
    yield Drift(feature=name, measure="lengths", value=length_distance(a.lengths, b.lengths),
                limit=limits.numbers, text=f"mean length {_mean_length(a):.3g} before, "
                f"{_mean_length(b):.3g} now")
    if a.kind == "float32" or (a.kind == "int64" and are_numbers):
        yield from _element(name, a, b, limits)
        yield Drift(feature=name, measure="numbers",
                    value=number_distance(a.numbers, b.numbers), limit=limits.numbers,
                    text=f"median {a.numbers.quantile(0.5):.4g} before, "
                    f"{b.numbers.quantile(0.5):.4g} now")
    else:
        distance, value = l_infinity(a.values, b.values)
        yield Drift(feature=name, measure="values", value=distance, limit=limits.values,
                    text=_values_text(a, b, value))


def _element(
    name: str, a: FeatureProfile, b: FeatureProfile, limits: Limits
) -> Iterator[Drift]:
    """Of long vectors, one number that moves or dies does not show in all numbers together."""
    if not (a.elements and b.elements) or a.max_length != b.max_length or a.max_length == 1:
        return
    # Of logarithms, where a few huge values do not decide.
    distances = normal_distance(a.elements.mean_and_std("log1p"), b.elements.mean_and_std("log1p"))
    worst = int(distances.argmax())
    texts = [f"mean {mean[worst]:.4g}, std {std[worst]:.4g}" for mean, std in (
        side.elements.mean_and_std("identity") for side in (a, b) if side.elements)]
    yield Drift(feature=name, measure="element", value=float(distances[worst]),
                limit=limits.numbers, text=f"number {worst} of each list has {texts[0]} before, "
                f"{texts[1]} now; {(distances > limits.numbers).sum()} of {len(distances)} numbers "
                "are beyond the limit")


def number_features(schema: Schema) -> frozenset[str]:
    """Features of the records that the schema reads as numbers, so that single values of them say
    nothing. Times, which always move on, are none."""
    buckets = {v.name for v in schema.vocabularies if v.kind == "log_bucket"}
    gaps = {f.source for b in schema.behaviors for f in b.features if f.gap}
    return frozenset({f.source for f in schema.numeric_features}
                     | {f.source for f in schema.id_features if f.vocabulary in buckets}) - gaps


def _values_text(a: FeatureProfile, b: FeatureProfile, value: Any) -> str:
    text = "equal shares"
    if value is not None:
        shares = [side.values.counts.get(value, 0) / max(side.values.total, 1) for side in (a, b)]
        text = f"{plain_value(value)!r} had {shares[0]:.2%} before, has {shares[1]:.2%} now"
    unseen = unseen_share(a.values, b.values)
    text += "" if unseen is None else f"; {unseen:.2%} are ids that the baseline does not have"
    return text + ("; counts are lower bounds" if a.values.is_capped or b.values.is_capped else "")


def plain_value(value: Any) -> Any:
    """Bytes as text.

    >>> plain_value(b"caf\\xc3\\xa9"), plain_value(7)
    ('café', 7)
    """
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _mean_length(seen: FeatureProfile) -> float:
    return sum(n * count for n, count in seen.lengths.items()) / max(sum(seen.lengths.values()), 1)


def _rates(a: RecordChecks, b: RecordChecks, limits: Limits) -> Iterator[Drift]:
    for task in a.schema.tasks:
        sides = [(side.label_sums[task.name], side.num_labels[task.name]) for side in (a, b)]
        if task.kind != "binary" or not all(0 < total < number for total, number in sides):
            continue
        (before, n), (now, m) = ((total / number, number) for total, number in sides)
        pooled = (sides[0][0] + sides[1][0]) / (n + m)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
        is_noise = abs(now - before) <= _STANDARD_ERRORS * error
        yield Drift(feature=task.name, measure="rate", limit=math.log2(limits.rate_factor),
                    value=0.0 if is_noise else abs(math.log2(now / before)),
                    text=f"{before:.3%} before, {now:.3%} now"
                    + (" (within three standard errors)" if is_noise else ""))
