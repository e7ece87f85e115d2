"""How often something was found, and where first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Occurrences:
    """A count with the first place and an example.

    Args:
        count: How often.
        file: The first file with it.
        record: The number of the first record with it there.
        example: What was found, for people.

    >>> first = Occurrences(2, "a.tfrecord", 7, "NaN")
    >>> first + Occurrences(3, "b.tfrecord", 0, "NaN")
    Occurrences(count=5, file='a.tfrecord', record=7, example='NaN')
    """

    count: int
    file: str
    record: int
    example: str = ""

    def __add__(self, later: Occurrences) -> Occurrences:
        return Occurrences(self.count + later.count, self.file, self.record, self.example)


def add_to(found: dict, key: object, occurrences: Occurrences) -> None:
    """Adds to what was found earlier under this key."""
    found[key] = found[key] + occurrences if key in found else occurrences
