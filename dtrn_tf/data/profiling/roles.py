"""Which part a feature of unknown records may play: rules on what was seen and on its name.

The first rule that fits decides (docs/validate.md lists them). A guess that rests on the name
alone, or that would leak a label if it were wrong, is marked as unsure or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dtrn_tf.data.profiling import name_hints as hints
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.value_counts import ValueCounts

# Labels have few values, and their codes are small.
_MAX_CODE = 20
# Unix seconds from 2001 on, and so milliseconds and microseconds.
_FIRST_TIME = 1e9
# Of so few records, "different in every record" says nothing.
_MIN_RECORDS_FOR_RARE = 100
# An id that occurs once in this share of its occurrences tells records apart and nothing else.
_ALWAYS_NEW = 0.9

ROLES = ("label", "group", "time", "id", "number", "list", "left_out")


@dataclass(frozen=True)
class Guess:
    """What a feature may be.

    Args:
        role: One of `ROLES`.
        why: What the guess rests on, for people.
        sure: False if it should be looked at.
    """

    role: str
    why: str
    sure: bool = True


def guess_roles(
    profile: Profile, labels: Sequence[str] = (), group: str | None = None
) -> dict[str, Guess]:
    """Guesses the role of every feature.

    Args:
        profile: What was seen.
        labels: Features that a user says are labels; then no others are.
        group: The feature that a user says is the group key.
    """
    found = {}
    group = group or _group_key(profile)
    for name, seen in profile.features.items():
        if name in labels:
            found[name] = Guess("label", "named by --labels")
        elif name == group:
            found[name] = Guess("group", "looks like the user", sure=False)
        else:
            guess = next(guess for rule in _RULES if (guess := rule(name, seen, profile)))
            if guess.role == "label" and labels:
                guess = Guess("left_out", "looks like a label that --labels does not name", False)
            found[name] = guess
    return found


def is_list(seen: FeatureProfile) -> bool:
    """Whether some record holds another number of values than one."""
    return set(seen.lengths) != {1}


def looks_like_time(seen: FeatureProfile) -> bool:
    """Whether most whole numbers are Unix times in seconds or finer; 0 may fill gaps."""
    return seen.kind == "int64" and seen.numbers.quantile(0.5) >= _FIRST_TIME


def looks_like_age(name: str, seen: FeatureProfile) -> bool:
    """Whether whole numbers say how long ago something was."""
    return (seen.kind == "int64" and hints.has_word(name, hints.AGE) and not is_small_id(seen)
            and seen.numbers.minimum >= 0 and not looks_like_time(seen))


def list_order(name: str, seen: FeatureProfile) -> str | None:
    """How a list of times or ages is ordered, if that can be seen."""
    if not seen.trend or not (looks_like_time(seen) or looks_like_age(name, seen)):
        return None
    is_newest_last = (seen.trend > 0) == looks_like_time(seen)
    return "newest_last" if is_newest_last else "newest_first"


def _none(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if seen.kind == "none" or not seen.max_length:
        return Guess("left_out", "holds no values")
    return None


def _label(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if not _has_few_codes(seen) or hints.has_word(name, hints.STATISTIC):
        return None
    is_binary = set(seen.values.counts) <= {0, 1}
    if hints.has_word(name, hints.FEEDBACK if is_binary else hints.CODES):
        kind = "0 or 1" if is_binary else "few small codes"
        return Guess("label", f"{kind}, and named like feedback")
    if is_binary and hints.has_word(name, hints.FLAGS):
        return Guess("left_out", "0 or 1 and named like a flag: a label (add a task) or an input "
                     "(add a feature)?", False)
    return None


def _outcome(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if (seen.kind != "string" and hints.has_word(name, hints.WATCHING)
            and hints.has_word(name, hints.DURATION)
            and not hints.has_word(name, hints.STATISTIC)):
        return Guess("left_out", "named like the time a user spent, known only afterwards: a label "
                     "(add a task with `at_least`)?", False)
    return None


def _sample_weight(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if seen.kind == "float32" and {"weight"} < set(hints.words(name)) <= hints.ROW_WEIGHT:
        return Guess("left_out", "named like a weight of the row: set `sample_weight`?", False)
    return None


def _time(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if not is_list(seen) and looks_like_time(seen) and hints.has_word(name, hints.TIME):
        return Guess("time", "Unix times, and named like a time", False)
    return None


def _constant(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if (not is_list(seen) and seen.present == profile.records and seen.values.distinct == 1
            and profile.records > 1 and not seen.numbers.num_nan):
        return Guess("left_out", "the same value in every record")
    return None


def _record_id(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if is_list(seen) or seen.kind == "float32":
        return None
    if hints.has_word(name, hints.RECORD_ID) and hints.words(name)[-1] == "id":
        return Guess("left_out", "named like the id of a request, which never comes again")
    if profile.records >= _MIN_RECORDS_FOR_RARE and share_of_once(seen.values) > _ALWAYS_NEW:
        return Guess("left_out", "nearly every record has a value of its own")
    return None


def _list(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    return Guess("list", "several values a record") if is_list(seen) else None


def _number(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    if seen.kind == "float32":
        return Guess("number", "one float a record")
    if seen.kind == "int64" and not is_small_id(seen) and hints.has_word(name, hints.NUMBER):
        return Guess("number", "whole numbers, and named like an amount", False)
    return None


def _id(name: str, seen: FeatureProfile, profile: Profile) -> Guess | None:
    return Guess("id", f"one {seen.kind} a record")


Rule = Callable[[str, FeatureProfile, Profile], Guess | None]
_RULES: tuple[Rule, ...] = (
    _none, _label, _outcome, _sample_weight, _time, _constant, _record_id, _list, _number, _id)


def is_small_id(seen: FeatureProfile) -> bool:
    """Whether whole numbers from 0 on are few enough to be rows as they are."""
    return seen.kind == "int64" and seen.numbers.minimum >= 0 and seen.numbers.maximum < 1000


def share_of_once(counts: ValueCounts) -> float:
    """The share of occurrences whose value occurs once: about the share of unseen values among
    those to come (the Good-Turing estimate)."""
    once = sum(count == 1 for count in counts.counts.values())
    return once / counts.total if counts.total else 0.0


def _has_few_codes(seen: FeatureProfile) -> bool:
    values = seen.values
    return (seen.kind in ("int64", "float32") and not values.is_capped
            and not seen.numbers.num_inf and seen.numbers.num_whole == seen.numbers.count > 0
            and 0 <= seen.numbers.minimum and seen.numbers.maximum <= _MAX_CODE)


def _group_key(profile: Profile) -> str | None:
    """The feature that is most likely the user's id."""
    ranked = sorted(
        (not hints.words(name)[-1:] == ["id"], -seen.values.distinct, name)
        for name, seen in _user_ids(profile))
    return ranked[0][-1] if ranked else None


def _user_ids(profile: Profile) -> Iterator[tuple[str, FeatureProfile]]:
    for name, seen in profile.features.items():
        parts = hints.words(name)
        is_named = not hints.USER.isdisjoint(parts) and (len(parts) == 1 or "id" in parts)
        if (is_named and seen.kind in ("int64", "string") and not is_list(seen)
                and seen.present == profile.records and seen.values.distinct > 1):
            yield name, seen
