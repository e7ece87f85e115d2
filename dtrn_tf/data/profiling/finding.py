"""What a check found, and how severe it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dtrn_tf.data.profiling.occurrences import Occurrences

SEVERITIES = ("error", "warning")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From which value on a finding is an error; a warning from half of it on.

    Args:
        out_of_vocabulary: Share of the ids of a field that its vocabulary does not know.
        not_finite: Share of the numbers of a feature that are NaN or infinite.
        values: L-infinity distance of ids: largest change of the share of one of them.
        numbers: Jensen-Shannon divergence (bits) of numbers and of list lengths.
        presence: Change of the share of records that hold a feature.
        rate_factor: Factor by which a task's positive rate may change, up or down.

    >>> Limits().severity(0.3, 0.2), Limits().severity(0.15, 0.2), Limits().severity(0.1, 0.2)
    ('error', 'warning', None)
    """

    out_of_vocabulary: float = 0.2
    not_finite: float = 0.0
    values: float = 0.1
    numbers: float = 0.1
    presence: float = 0.05
    rate_factor: float = 2.0

    @staticmethod
    def severity(value: float, limit: float) -> str | None:
        """`error` above the limit, `warning` above half of it, else None."""
        if value > limit:
            return "error"
        return "warning" if value > limit / 2 else None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or worth a look.

    Args:
        severity: `error`, which fails the validation, or `warning`.
        check: Short name of what was checked.
        feature: Feature, field, behaviour or task; empty if it is about records.
        message: What was expected, what came, the remedy.
        count: How many records or values.
        of: Of how many.
        file: First file with it, empty if it has no place.
        record: Number of the first record with it in that file.
    """

    severity: str
    check: str
    feature: str = ""
    message: str
    count: int = 0
    of: int = 0
    file: str = ""
    record: int | None = None

    @property
    def share(self) -> float | None:
        """count / of, or None if there is nothing to count."""
        return self.count / self.of if self.of else None

    def at(self, found: Occurrences) -> Finding:
        """The same finding with its count and first place."""
        return replace(self, count=found.count, file=found.file, record=found.record)
