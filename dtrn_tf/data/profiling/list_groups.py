"""What features with several values a record may be: behaviours, multi-hot ids, vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtrn_tf.data.profiling import name_hints as hints
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.roles import Guess, is_list, looks_like_age, looks_like_time

# A lone list of ids that is longer than this is a history rather than tags of one thing.
_MAX_MULTIPLE = 20
# What often fills lists up to one length, and in which share of the places at least.
_PADDING: tuple[Any, ...] = (0, -1, b"", b"0", b"-1")
_MIN_PADDING_SHARE = 0.05


@dataclass(frozen=True)
class ListGroup:
    """Features that have equally many values in every record.

    Args:
        kind: `candidates` (the record is a request), `behavior`, `multiple`, `vector` or
            `left_out`.
        features: Names in the records; of a behaviour the item first, of `multiple` the ids and
            then the weights, if there are some.
        why: What the guess rests on.
    """

    kind: str
    features: tuple[str, ...]
    why: str


def guess_list_groups(profile: Profile, roles: Mapping[str, Guess]) -> list[ListGroup]:
    """Groups all lists by their lengths and guesses what each group is."""
    names = [name for name, guess in roles.items()
             if guess.role == "list" or (guess.role == "label" and is_list(profile.features[name]))]
    aligned = defaultdict(list)
    for name in names:
        aligned[profile.features[name].alignment].append(name)
    candidates = next((group for group in aligned.values() if _are_candidates(group, roles)), None)
    found = [ListGroup("candidates", tuple(candidates),
                       "labels are lists, so a record is a request with its candidates")
             ] if candidates else []
    for group in aligned.values():
        if group is not candidates:
            found += [_guess(profile, part) for part in _parts(profile, group)]
    return found


def guess_padding(seen: FeatureProfile) -> int | str | None:
    """The id that fills up lists which are all equally long, if there seems to be one."""
    if len(seen.lengths) > 1 or seen.kind == "float32":
        return None
    counts = seen.values.counts
    best = max(_PADDING, key=lambda value: counts.get(value, 0))
    if counts.get(best, 0) < _MIN_PADDING_SHARE * seen.values.total:
        return None
    return best.decode() if isinstance(best, bytes) else best


def has_fixed_length(seen: FeatureProfile) -> bool:
    return len(seen.lengths) == 1


def _are_candidates(group: Sequence[str], roles: Mapping[str, Guess]) -> bool:
    kinds = {roles[name].role for name in group}
    return kinds == {"label", "list"}


def _parts(profile: Profile, group: list[str]) -> list[list[str]]:
    """Lists of one fixed length are aligned by chance: there the first word decides."""
    if not has_fixed_length(profile.features[group[0]]):
        return [group]
    parts = defaultdict(list)
    for name in group:
        is_float = profile.features[name].kind == "float32"
        parts[name if is_float else hints.words(name)[0]].append(name)
    return list(parts.values())


def _guess(profile: Profile, group: list[str]) -> ListGroup:
    features = {name: profile.features[name] for name in group}
    ids = sorted((name for name, seen in features.items() if seen.kind != "float32"),
                 key=lambda name: _item_rank(name, features[name]))
    floats = [name for name in group if name not in ids]
    if not ids:
        return _guess_floats(group, features)
    longest = max(seen.max_length for seen in features.values())
    if len(ids) > 1:
        return ListGroup("behavior", (*ids, *floats), "lists of equal length in every record")
    if hints.has_word(ids[0], hints.SEQUENCE | hints.FEEDBACK):
        return ListGroup("behavior", (*ids, *floats), "a list named like a history")
    if longest > _MAX_MULTIPLE:
        return ListGroup("behavior", (*ids, *floats), f"a list of up to {longest} ids")
    if len(floats) > 1:
        return ListGroup("left_out", tuple(group), "ids with several lists of floats")
    return ListGroup("multiple", (*ids, *floats),
                     "a list of ids" + (" with as many floats, its weights" if floats else ""))


def _guess_floats(group: list[str], features: Mapping[str, FeatureProfile]) -> ListGroup:
    if len(group) == 1 and has_fixed_length(features[group[0]]):
        return ListGroup("vector", tuple(group), "as many floats in every record")
    return ListGroup("left_out", tuple(group), "lists of floats of different lengths")


def _item_rank(name: str, seen: FeatureProfile) -> tuple[bool, bool, int, str]:
    """The item of a behaviour comes first: no time, named like an item, the most ids."""
    return (looks_like_time(seen) or looks_like_age(name, seen),
            not hints.has_word(name, hints.ITEM_ID), -seen.values.distinct, name)
