"""Which features share an id space, and which kind of vocabulary fits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dtrn_tf.data.profiling import name_hints as hints
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.roles import is_small_id, share_of_once
from dtrn_tf.data.profiling.value_counts import ValueCounts
from dtrn_tf.schema import Vocabulary

# Fewer values overlap by chance.
_MIN_VALUES_TO_SHARE = 20
_MIN_OVERLAP = 0.5
# A file must know nearly all ids to come; the estimate is the share of ids seen once.
_MAX_UNSEEN = 0.01
_MIN_BUCKETS = 1024


@dataclass
class IdSpace:
    """Features whose ids mean the same.

    Args:
        name: Of the first feature.
        first: What was seen of it.
        features: Names in the records.
        counts: How often each id occurs in all of them.
    """

    name: str
    first: FeatureProfile
    features: list[str] = field(default_factory=list)
    counts: ValueCounts = field(default_factory=ValueCounts)

    def add(self, feature: str, counts: ValueCounts) -> None:
        self.features.append(feature)
        self.counts.merge(counts)


def find_id_spaces(
    profile: Profile, singles: Iterable[str], lists: Mapping[str, int | str | None]
) -> list[IdSpace]:
    """Puts features into id spaces: a list joins the one that knows most of its ids.

    Args:
        profile: What was seen.
        singles: Names of features of one id a row; each has a space of its own.
        lists: Names of features of several ids a record, and the id of each that is padding.
    """
    spaces: list[IdSpace] = []
    for name in singles:
        spaces.append(IdSpace(hints.identifier(name), profile.features[name]))
        spaces[-1].add(name, profile.features[name].values)
    for name, padding in lists.items():
        seen = profile.features[name]
        counts = seen.values.without(padding.encode() if isinstance(padding, str) else padding)
        ranked = sorted(((_overlap(counts, space), i) for i, space in enumerate(spaces)
                         if _may_share(name, seen, space)), reverse=True)
        if ranked and ranked[0][0] >= _MIN_OVERLAP:
            spaces[ranked[0][1]].add(name, counts)
            continue
        spaces.append(IdSpace(hints.identifier(name), seen))
        spaces[-1].add(name, counts)
    return spaces


def choose_vocabulary(
    space: IdSpace, profile: Profile, max_file_size: int
) -> tuple[Vocabulary, list[Any], str]:
    """The vocabulary of an id space, its ids if it is a file, and why.

    Whole numbers 0..999 are rows as they are (`identity`). A `file` is for ids of which nearly all
    were seen: at most `max_file_size`, and at most 1 % of what comes is new, estimated by the
    share of occurrences whose id occurs once; an empty string is no id. All else is `hash`, with
    two buckets an id.
    """
    members = [profile.features[name] for name in space.features]
    dtype = space.first.kind
    if all(map(is_small_id, members)):
        largest = int(max(seen.numbers.maximum for seen in members))
        return (Vocabulary(name=space.name, kind="identity", size=largest + 1),
                [], f"whole numbers 0..{largest}; larger ones will be unknown")
    unseen = share_of_once(space.counts)
    ids = [value for value, _ in space.counts.top(max_file_size) if value != b""]
    distinct = _distinct_text(space.counts)
    is_complete = not space.counts.is_capped and space.counts.distinct <= max_file_size
    if ids and is_complete and unseen <= _MAX_UNSEEN and all(map(_is_line, ids)):
        return (Vocabulary(name=space.name, size=len(ids), dtype=dtype,
                           file=f"vocabularies/{space.name}.txt"),
                ids, f"{distinct} ids, about {unseen:.2%} of those to come are new")
    buckets = max(_MIN_BUCKETS, 1 << (2 * space.counts.distinct - 1).bit_length())
    return (Vocabulary(name=space.name, kind="hash", size=buckets, dtype=dtype), [],
            f"{distinct} ids, about {unseen:.1%} of those to come are new: hash buckets")


def _distinct_text(counts: ValueCounts) -> str:
    return f"{'more than ' if counts.is_capped else ''}{counts.distinct:,}"


def _may_share(name: str, seen: FeatureProfile, space: IdSpace) -> bool:
    if seen.kind != space.first.kind:
        return False
    same_word = hints.words(name)[-1:] == hints.words(space.features[0])[-1:]
    if is_small_id(seen) or is_small_id(space.first):
        # Small numbers always overlap.
        return same_word and is_small_id(seen) and is_small_id(space.first)
    return same_word or min(seen.values.distinct, space.counts.distinct) >= _MIN_VALUES_TO_SHARE


def _overlap(counts: ValueCounts, space: IdSpace) -> float:
    """The share of a feature's occurrences whose id occurs in the space."""
    known = sum(count for value, count in counts.counts.items() if value in space.counts.counts)
    return known / counts.total if counts.total else 0.0


def _is_line(value: Any) -> bool:
    """Whether an id can stand in a vocabulary file."""
    if not isinstance(value, bytes):
        return True
    try:
        return "\n" not in value.decode("utf-8")
    except UnicodeDecodeError:
        return False
