"""A schema guessed from what was seen, with a note on every guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dtrn_tf.data.profiling import name_hints as hints
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.id_spaces import IdSpace, choose_vocabulary, find_id_spaces
from dtrn_tf.data.profiling.list_groups import (
    ListGroup, guess_list_groups, guess_padding, has_fixed_length,
)
from dtrn_tf.data.profiling.profile import Profile
from dtrn_tf.data.profiling.roles import (
    Guess, guess_roles, is_small_id, list_order, looks_like_age, looks_like_time,
)
from dtrn_tf.data.statistics import Moments
from dtrn_tf.errors import DataError
from dtrn_tf.schema import (
    BehaviorSequence, CategoricalFeature, GroupKey, NumericFeature, RequestTime, Schema,
    SequenceFeature, Task, Vocabulary,
)

# Longer sequences are cut to their newest positions.
_MAX_LENGTH = 100
# A number from 0 on whose largest value is so many times its median has a long tail.
_LONG_TAIL = 20.0
# Buckets of doublings reach 2^60, microseconds of thousands of years.
_LOG_BUCKETS = 60
GAP = "gap"
# What a record without an id means: no id of its own, so unknown, or a hash bucket.
_UNKNOWN: dict[str, int | str] = {"int64": -1, "string": ""}


@dataclass
class Starter:
    """A starter schema and what people should know about it.

    Args:
        schema: The guess.
        notes: By (section of the schema, name): why, and what to look at. A note that begins with
            `?` is of an unsure guess.
        left_out: Features that the schema does not use, and why.
        vocabularies: Ids by vocabulary file.
        moments: Of every numeric field.
    """

    schema: Schema
    notes: dict[tuple[str, str], str]
    left_out: dict[str, str]
    vocabularies: dict[str, list[Any]]
    moments: dict[str, Moments]


def guess_schema(
    profile: Profile, *, labels: Sequence[str] = (), group: str | None = None,
    max_file_size: int = 100_000,
) -> Starter:
    """Guesses what records mean from what was seen of them; docs/validate.md lists the rules.

    Args:
        profile: What was seen.
        labels: Features that are labels; by default those that look like one.
        group: The feature that groups rows; by default the one that looks like the user's id.
        max_file_size: The most ids of a vocabulary file; more are hashed.

    Raises:
        DataError: There are no records; `labels` or `group` names no feature; no feature looks
            like a label, or none can be an input.
    """
    _check(profile, labels, group)
    roles = guess_roles(profile, labels, group)
    return _Builder(profile, roles, max_file_size).build()


def _check(profile: Profile, labels: Sequence[str], group: str | None) -> None:
    if not profile.records:
        raise DataError("files should hold at least one readable tf.train.Example. Received: "
                        f"{profile.num_bad} bad records. Look at the table above.")
    for flag, names in (("--labels", labels), ("--group", [group] if group else [])):
        unknown = sorted(set(names) - set(profile.features))
        if unknown:
            raise DataError(f"{flag} should name features of the records: "
                            f"{list(profile.features)}. Received: {unknown}.")


@dataclass
class _Builder:
    """Collects the parts of a schema one by one."""

    profile: Profile
    roles: Mapping[str, Guess]
    max_file_size: int
    vocabularies: list[Vocabulary] = field(default_factory=list)
    features: list[CategoricalFeature | NumericFeature] = field(default_factory=list)
    behaviors: list[BehaviorSequence] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[Any]] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    uses_time: bool = False

    def build(self) -> Starter:
        groups = guess_list_groups(self.profile, self.roles)
        self._candidates = {name for g in groups if g.kind == "candidates" for name in g.features}
        self._time = next(iter(self._names("time")), None)
        self._vocabulary_of = self._make_vocabularies(groups)
        for name in self._singles():
            self._add_single(name)
        for group in groups:
            self._add_lists(group)
        for name in self._names("label"):
            self._add_task(name)
        for name, guess in self.roles.items():
            if guess.role == "left_out":
                self.left_out[name] = guess.why
        return Starter(self._schema(), self.notes, self.left_out, self.ids, self.moments)

    def _names(self, role: str) -> list[str]:
        return [name for name, guess in self.roles.items() if guess.role == role]

    def _singles(self) -> list[str]:
        """Features with one value a row: of a record, or of a candidate of a request."""
        return [name for name, guess in self.roles.items() if guess.role in ("id", "number")
                or (guess.role == "list" and name in self._candidates)]

    def _make_vocabularies(self, groups: Sequence[ListGroup]) -> dict[str, str]:
        singles = [name for name in self._singles() if not self._is_number(name)]
        lists = {name: guess_padding(self.profile.features[name])
                 for group in groups if group.kind in ("behavior", "multiple")
                 for name in group.features if self._is_id_list(name)}
        spaces = find_id_spaces(self.profile, singles, lists)
        for space in spaces:
            self._add_vocabulary(space)
        return {name: space.name for space in spaces for name in space.features}

    def _add_vocabulary(self, space: IdSpace) -> None:
        vocabulary, ids, why = choose_vocabulary(space, self.profile, self.max_file_size)
        shared = f"; shared by {', '.join(space.features)}" if len(space.features) > 1 else ""
        self.vocabularies.append(vocabulary)
        self.notes["vocabularies", vocabulary.name] = why + shared
        if ids:
            self.ids[vocabulary.name] = ids

    def _is_number(self, name: str) -> bool:
        seen = self.profile.features[name]
        return (self.roles[name].role == "number" or seen.kind == "float32"
                or (name in self._candidates and seen.kind == "int64" and not is_small_id(seen)
                    and hints.has_word(name, hints.NUMBER)))

    def _is_id_list(self, name: str) -> bool:
        seen = self.profile.features[name]
        return (seen.kind != "float32" and not looks_like_time(seen)
                and not looks_like_age(name, seen))

    def _add_single(self, name: str) -> None:
        seen = self.profile.features[name]
        if self._is_number(name):
            self._add_number(name)
            return
        self._add_feature(self._absent_note(name), CategoricalFeature(
            name=hints.identifier(name), vocabulary=self._vocabulary_of[name],
            level=self._level(name), **_source(name),
            default=_UNKNOWN[seen.kind] if self._is_absent(name) else None))

    def _add_number(self, name: str) -> None:
        seen = self.profile.features[name]
        transform = _transform(seen)
        size = 1 if name in self._candidates else seen.max_length
        numbers = seen.numbers
        notes = [f"{size} numbers in " * (size > 1) + f"{numbers.minimum:g}..{numbers.maximum:g}, "
                 f"median {numbers.quantile(0.5):.4g}"]
        if numbers.num_nan + numbers.num_inf:
            notes.append(f"? {numbers.num_nan:,} NaN and {numbers.num_inf:,} infinite")
        if not self.roles[name].sure:
            notes.append(f"? {self.roles[name].why}")
        self.moments[hints.identifier(name)] = seen.moments(transform) or Moments(0.0, 1.0)
        self._add_feature(notes + self._absent_note(name), NumericFeature(
            name=hints.identifier(name), level=self._level(name), transform=transform, size=size,
            dtype=seen.kind, **_source(name),
            default=numbers.quantile(0.5) if self._is_absent(name) else None))

    def _add_feature(self, notes: list[str], feature: CategoricalFeature | NumericFeature) -> None:
        self.features.append(feature)
        self.notes["features", feature.name] = "; ".join(note for note in notes if note)

    def _level(self, name: str) -> str:
        if self._candidates:
            return "candidate" if name in self._candidates else "request"
        is_of_user = hints.words(name)[:1] in (["user"], ["u"], ["context"])
        if hints.has_word(name, hints.ITEM) and not is_of_user:
            return "candidate"
        return "request"

    def _is_absent(self, name: str) -> bool:
        """Whether some record lacks the feature (in a request it may not)."""
        return (self.profile.features[name].present < self.profile.records
                and name not in self._candidates)

    def _absent_note(self, name: str) -> list[str]:
        share = 1.0 - self.profile.presence(name)
        return [f"? absent from {share:.2%} of the records"] if share else []

    def _add_lists(self, group: ListGroup) -> None:
        if group.kind == "behavior":
            self._add_behavior(group)
        elif group.kind == "multiple":
            self._add_multiple(group)
        elif group.kind == "vector":
            self._add_number(group.features[0])
        elif group.kind == "left_out":
            self.left_out.update(dict.fromkeys(group.features, group.why))

    def _add_multiple(self, group: ListGroup) -> None:
        ids, *weights = group.features
        padding = guess_padding(self.profile.features[ids])
        self._add_feature(
            [f"? {group.why}", *self._absent_note(ids), *_padding_note(padding)],
            CategoricalFeature(
                name=hints.identifier(ids), vocabulary=self._vocabulary_of[ids],
                level=self._level(ids), **_source(ids), multiple=True, padding=padding,
                optional=self._is_absent(ids), weights=weights[0] if weights else None))

    def _add_behavior(self, group: ListGroup) -> None:
        item = self.profile.features[group.features[0]]
        padding = guess_padding(item)
        longest = max(self.profile.features[name].max_length for name in group.features)
        sides = [side for name in group.features if (side := self._sequence_feature(name))]
        order, note = self._order(group)
        behavior = BehaviorSequence(
            name=self._behavior_name(group), max_length=max(1, min(longest, _MAX_LENGTH)),
            features=tuple(sides), order=order, padding=padding,
            optional=any(map(self._is_absent, group.features)))
        self.behaviors.append(behavior)
        notes = [note, group.why, f"longest {longest}", *_padding_note(padding)]
        if has_fixed_length(item) and len(group.features) > 1:
            notes.append("? all lists have one length, so which belong together is by name")
        self.notes["behaviors", behavior.name] = "; ".join(notes)

    def _order(self, group: ListGroup) -> tuple[str, str]:
        """How the lists are ordered, and what that rests on."""
        seen = {name: order for name in group.features
                if (order := list_order(name, self.profile.features[name]))}
        if len(set(seen.values())) != 1:
            return "newest_last", ("? order: newest_last cannot be seen in the records (else "
                                   "newest_first)")
        (name, order), *_ = seen.items()
        moves = "rises" if self.profile.features[name].trend > 0 else "falls"
        return order, f"{order}: {name} {moves} along the lists"

    def _behavior_name(self, group: ListGroup) -> str:
        name = hints.common_prefix(list(group.features))
        while name in {b.name for b in self.behaviors}:
            name += "_2"
        return name

    def _sequence_feature(self, name: str) -> SequenceFeature | None:
        seen = self.profile.features[name]
        if self._is_id_list(name):
            return SequenceFeature(name=hints.identifier(name), **_source(name),
                                   vocabulary=self._vocabulary_of[name])
        if looks_like_time(seen) and self._time:
            self.uses_time = True
            self._log_bucket(GAP, "int64", "gaps between the request time and the events' times")
            return SequenceFeature(name=hints.identifier(name), **_source(name), vocabulary=GAP,
                                   gap=True)
        if not looks_like_time(seen) and seen.numbers.minimum >= 0:
            vocabulary = hints.identifier(name)
            self._log_bucket(vocabulary, seen.kind, "numbers in buckets of doublings")
            return SequenceFeature(name=vocabulary, **_source(name), vocabulary=vocabulary)
        self.left_out[name] = ("times of a sequence, but no feature looks like the request's time"
                               if looks_like_time(seen) else "numbers below 0 in a sequence")
        return None

    def _log_bucket(self, name: str, dtype: str, why: str) -> None:
        if name not in {v.name for v in self.vocabularies}:
            self.vocabularies.append(Vocabulary(name=name, kind="log_bucket", size=_LOG_BUCKETS,
                                                dtype=dtype))
            self.notes["vocabularies", name] = why

    def _add_task(self, name: str) -> None:
        seen = self.profile.features[name]
        if bool(self._candidates) != (name in self._candidates):
            self.left_out[name] = "looks like a label, but has not one value per row"
            return
        default = 0 if self._is_absent(name) else None
        task = Task(name=_task_name(name), label=name, dtype=seen.kind, default=default,
                    at_least=_threshold(seen))
        self.tasks.append(task)
        notes = [self.roles[name].why, _codes_text(seen)]
        if task.at_least is not None:
            notes.append(f"? the rule: other tasks of the same codes by `one_of: [...]`, e.g. "
                         f"one_of: [{int(seen.numbers.maximum)}]")
        if default is not None:
            notes.append(f"{self._absent_note(name)[0]}, taken as 0")
        self.notes["tasks", task.name] = "; ".join(notes)

    def _schema(self) -> Schema:
        if not self.tasks:
            raise DataError(
                "at least one feature should look like a label: few small whole numbers and a "
                "name like click, like, order or label. Received: "
                f"{_role_text(self.roles)}. Name them with --labels=NAME,NAME.")
        if not self.features:
            raise DataError("at least one feature should be usable as an input. Received: "
                            f"{_role_text(self.roles)}.")
        if not self._candidates:
            self.notes["features", ""] = "? level: candidate if named like an item, else request"
        group = next(iter(self._names("group")), None)
        if group:
            self.notes["group", group] = f"? {self.roles[group].why}"
        return Schema(
            layout="request" if self._candidates else "impression",
            vocabularies=tuple(self.vocabularies), features=tuple(self.features),
            behaviors=tuple(self.behaviors), tasks=tuple(self.tasks), time=self._request_time(),
            group=GroupKey(name=hints.identifier(group), **_source(group),
                           dtype=self.profile.features[group].kind) if group else None)

    def _request_time(self) -> RequestTime | None:
        if self._time and not self.uses_time:
            self.left_out[self._time] = "a time, but no sequence has times"
        if not self.uses_time or not self._time:
            return None
        self.notes["time", self._time] = f"? {self.roles[self._time].why}"
        return RequestTime(name=hints.identifier(self._time), **_source(self._time))


def _source(name: str) -> dict[str, Any]:
    """`feature`, where the name in the records is no name in a schema."""
    return {} if hints.identifier(name) == name else {"feature": name}


def _transform(seen: FeatureProfile) -> str:
    numbers = seen.numbers
    has_long_tail = (numbers.minimum >= 0
                     and numbers.maximum > _LONG_TAIL * max(numbers.quantile(0.5), 1.0))
    return "log1p" if has_long_tail else "identity"


def _task_name(label: str) -> str:
    parts = hints.words(label)
    return hints.identifier("_".join(parts[1:] if parts[0] in hints.FLAGS and parts[1:] else parts))


def _threshold(seen: FeatureProfile) -> float | None:
    """Codes from 0 on are positive from 1 on, others in their upper half; 0 and 1 need no rule."""
    low, high = seen.numbers.minimum, seen.numbers.maximum
    if set(seen.values.counts) <= {0, 1} and not seen.values.is_capped:
        return None
    return 1.0 if low == 0 else float((low + high) // 2 + 1)


def _codes_text(seen: FeatureProfile) -> str:
    total = max(seen.values.total, 1)
    shares = [f"{value:g}: {count / total:.2%}" for value, count in
              sorted(seen.values.counts.items())[:8]]
    return ", ".join(shares)


def _padding_note(padding: int | str | None) -> list[str]:
    return [] if padding is None else [
        f"? lists of one length in which {padding!r} is frequent: taken as padding"]


def _role_text(roles: Mapping[str, Guess]) -> str:
    return "; ".join(f"{name}: {guess.why}" for name, guess in _first(roles.items(), 12))


def _first(items: Any, number: int) -> Iterator[Any]:
    return (item for item, _ in zip(items, range(number)))
