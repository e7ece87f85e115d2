"""The prepare spec: how interaction tables become records. YAML in; no TensorFlow here."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dtrn_tf import checks
from dtrn_tf.data.preparation.event_log import EventLog, EventType, event_types
from dtrn_tf.errors import SchemaError
from dtrn_tf.schema import Task

# The side of every behaviour sequence that no table holds: bucketed age of the event.
RECENCY = "recency"
TABLES = ("interactions", "users", "items")
SOURCES = ("tables", "kuairand", "deskdrop", "taobao", "synthetic")
ID_KINDS = ("ids", "hash", "identity", "log_bucket", "hour")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The key columns of the interactions table.

    Args:
        user: User id, also the key that groups rows for GAUC.
        item: Item id.
        request: Id of the request in which the impression was shown, if the log has one.
        time: When the impression happened, a whole number since 1970-01-01 UTC.
        time_unit: `s` or `ms`.
        utc_offset_hours: Where a day begins, for splits and hours.
    """

    user: str = "user_id"
    item: str = "item_id"
    request: str | None = None
    time: str = "timestamp"
    time_unit: str = "s"
    utc_offset_hours: float = 0.0

    def __post_init__(self) -> None:
        for name in ("user", "item", "time"):
            checks.text(getattr(self, name), f"`{name}`")
        if self.request is not None:
            checks.text(self.request, "`request`")
        checks.one_of(self.time_unit, ("s", "ms"), "`time_unit`")
        checks.at_least(self.utc_offset_hours, -24.0, "`utc_offset_hours`")

    @property
    def keys(self) -> tuple[str, str, str]:
        return (self.user, self.item, self.time)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Splits by local day, last days included: train, then valid, then test.

    Args:
        train_until: Last day of train.
        valid_until: Last day of valid; what comes later is test.
        train_from: Rows of earlier days are history only.
        test_until: Rows of later days are left out.
        gap_days: Days after train_until and after valid_until whose rows are history only, so that
            valid and test begin this much later.
    """

    train_until: datetime.date
    valid_until: datetime.date
    train_from: datetime.date | None = None
    test_until: datetime.date | None = None
    gap_days: int = 0

    def __post_init__(self) -> None:
        days = [self.train_from, self.train_until, self.valid_until, self.test_until]
        known = [day for day in days if day is not None]
        for day in known:
            if type(day) is not datetime.date:
                raise SchemaError(f"a split should end at a day like 2022-05-03, without "
                                  f"quotes. Received: {day!r}.")
        if known != sorted(known) or self.train_until == self.valid_until:
            raise SchemaError("the days of `splits` should be in the order train_from, "
                              "train_until, valid_until, test_until. "
                              f"Received: {[str(day) for day in known]}.")
        checks.whole_at_least(self.gap_days, 0, "`gap_days`")
        ends = [self.train_until, *known[known.index(self.valid_until):]]
        if any((end - begin).days <= self.gap_days for begin, end in zip(ends, ends[1:])):
            raise SchemaError("valid and test should have days left after `gap_days`. Received: "
                              f"{self.gap_days} between {[str(day) for day in ends]}.")


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A behaviour sequence of the schema: items with aligned sides.

    Args:
        behavior: A key of `behaviors`.
        max_length: How many of the newest events it keeps.
        sides: Names of features of the items or interactions table, or `recency`.
    """

    behavior: str
    max_length: int
    sides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.whole_at_least(self.max_length, 1, f"`max_length` of sequence {self.behavior!r}")
        checks.no_duplicates(f"side of sequence {self.behavior!r}", self.sides)


@dataclass(frozen=True, kw_only=True)
class PastStatistic:
    """A bucketed number about the user's own strictly past events, a request feature.

    Args:
        name: Feature name.
        kind: `count` of a behaviour, `rate` of a behaviour per exposure, or `gap` in seconds
            since the user's previous event.
        behavior: A key of `behaviors`; for count and rate.
        size: Number of buckets.
        resolution: Buckets per doubling; for count and gap.
        prior: Rate of an unknown user, falls in the middle bucket; for rate.
        strength: How many exposures the prior counts for; for rate.
    """

    name: str
    kind: str
    behavior: str | None = None
    size: int = 32
    resolution: float = 1.0
    prior: float | None = None
    strength: float = 5.0

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a past statistic")
        where = f"of past statistic {self.name!r}"
        checks.one_of(self.kind, ("count", "rate", "gap"), f"`kind` {where}")
        checks.whole_at_least(self.size, 2, f"`size` {where}")
        checks.at_least(self.resolution, 0.01, f"`resolution` {where}")
        checks.at_least(self.strength, 0.01, f"`strength` {where}")
        if self.kind == "rate":
            checks.at_least(self.prior, 1e-6, f"`prior` {where}")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column that becomes an input.

    Args:
        name: Feature name.
        table: `interactions`, `users` or `items`.
        column: The column's name.
        kind: `ids` (vocabulary file), `hash`, `identity` (codes 0..size-1), `log_bucket` (of a
            number), `hour` (of the local day, of the time column), `numeric`.
        level: `request` or `candidate`; by default candidate for items, else request.
        vocabulary: By default one of the feature's own name; features may share one.
        size: Buckets of hash, identity and log_bucket.
        min_count: Rarer ids (in train records) get no row of their own; for ids.
        resolution: Buckets per doubling; for log_bucket.
        first_of_list: The column is text like `12,7`; only the first entry counts.
        transform: `identity` or `log1p`; for numeric.
    """

    name: str
    table: str
    column: str
    kind: str = "ids"
    level: str | None = None
    vocabulary: str | None = None
    size: int | None = None
    min_count: int = 1
    resolution: float = 1.0
    first_of_list: bool = False
    transform: str = "identity"

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a feature")
        where = f"of feature {self.name!r}"
        checks.one_of(self.table, TABLES, f"`table` {where}")
        checks.text(self.column, f"`column` {where}")
        checks.one_of(self.kind, (*ID_KINDS, "numeric"), f"`kind` {where}")
        checks.one_of(self.level, (None, "request", "candidate"), f"`level` {where}")
        checks.whole_at_least(self.min_count, 1, f"`min_count` {where}")
        checks.at_least(self.resolution, 0.01, f"`resolution` {where}")
        if self.kind in ("hash", "identity", "log_bucket"):
            checks.whole_at_least(self.size, 1, f"`size` {where}")
        if self.name == RECENCY:
            raise SchemaError(f"`name` of a feature should not be {RECENCY!r}, the side that "
                              "every sequence can have. Received: that name.")

    @property
    def vocabulary_name(self) -> str:
        return self.vocabulary or self.name

    @property
    def resolved_level(self) -> str:
        return self.level or ("candidate" if self.table == "items" else "request")


@dataclass(frozen=True, kw_only=True)
class Prehistory:
    """What is known of users before the first timed event; the table is optional.

    Args:
        lists: Per behaviour, the column with the list of its item ids, oldest first.
        counts: Per behaviour, the column with the number of its events, if the list may be cut.
        last_time: Column with the time of the newest of these events.
    """

    lists: dict[str, str]
    counts: dict[str, str] = field(default_factory=dict)
    last_time: str | None = None


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """How many items are drawn against every impression, and from which.

    An item can be drawn for an impression if the log holds it on a strictly earlier local day, and
    the user was not seen with it until the end of the impression's day. On the first day of the
    log nothing can be drawn.

    Args:
        per_positive: Items for each impression, none twice; fewer where so many cannot be found.
        strategy: `uniform`, or `popularity`: in proportion to count ** exponent, where the count
            is of the item's rows in the log on strictly earlier days.
        exponent: For popularity; below 1 it evens out.
        seed: Equal seeds draw equal items for a user, whatever other users the log holds.

    Raises:
        SchemaError: A number is out of range, or the strategy is unknown.
    """

    per_positive: int
    strategy: str = "uniform"
    exponent: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks.whole_at_least(self.per_positive, 1, "`per_positive`")
        checks.one_of(self.strategy, ("uniform", "popularity"), "`strategy`")
        checks.at_least(self.exponent, 0.0, "`exponent`")
        checks.whole_at_least(self.seed, 0, "`seed`")

    @property
    def power(self) -> float:
        """Exponent of the counts: every item once for uniform."""
        return self.exponent if self.strategy == "popularity" else 0.0

    @property
    def num_draws(self) -> int:
        """Draws per impression, among which items that must not be taken are passed over."""
        return 4 * self.per_positive + 16


@dataclass(frozen=True, kw_only=True)
class PrepareSpec:
    """How interaction tables become records.

    Args:
        source: One of `SOURCES`; `tables` are your own, `synthetic` needs no files.
        columns: Key columns.
        splits: Last days of train and valid.
        behaviors: Per behaviour, the feedback columns any of which makes an impression an event
            of it; none: every impression is.
        features: Columns that become inputs.
        tasks: Tasks as in the schema; `label` and `mask` are columns of interactions.
        sequences: Behaviour sequences.
        past_statistics: Statistics of strictly past events.
        prehistory: Lists from before the first timed event.
        event_log: Given if a row of the log is an event of one type. Then `behaviors` lists types
            of events instead of columns, and labels are those of `event_log`.
        negatives: Items to draw against the impressions of a log that holds positives only.
        request_window_seconds: Without request ids: a user's impressions belong to one request
            if they happened at most this long after its first one.
        tables: File per table, for source `tables`.
        synthetic: Arguments of the world, for source `synthetic`.
        true_probabilities: Per task, the interactions column with the true probability of the
            label, where the world is known: gives the Bayes-optimal AUC, never an input.

    Raises:
        SchemaError: A name is unknown or used twice, or an input column is a label or feedback.
    """

    source: str
    splits: Splits
    behaviors: dict[str, tuple[EventType, ...]]
    features: tuple[Feature, ...]
    tasks: tuple[Task, ...]
    columns: Columns = Columns()
    sequences: tuple[Sequence, ...] = ()
    past_statistics: tuple[PastStatistic, ...] = ()
    prehistory: Prehistory | None = None
    event_log: EventLog | None = None
    negatives: Negatives | None = None
    request_window_seconds: float | None = None
    tables: dict[str, str] = field(default_factory=dict)
    synthetic: dict[str, Any] = field(default_factory=dict)
    true_probabilities: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.one_of(self.source, SOURCES, "`source`")
        if not self.tasks:
            raise SchemaError("`tasks` should hold at least one task. Received: none.")
        self._check_names()
        self._check_behaviors_known()
        self._check_sides()
        self._check_event_log()
        self._check_no_leak()
        self._check_negatives()
        self._check_request()
        for feature in self.features:
            if feature.kind == "hour":
                checks.one_of((feature.table, feature.column),
                              [("interactions", self.columns.time)],
                              f"`table` and `column` of feature {feature.name!r} of kind 'hour'")

    def _check_names(self) -> None:
        names = [f.name for f in self.features] + [s.name for s in self.past_statistics]
        checks.no_duplicates("feature and past statistic", names)
        if self.columns.user in names:
            raise SchemaError("a feature should not have the name of the user column, which groups "
                              f"rows in the records. Received: {self.columns.user!r}. To use the "
                              "user id as an input, give the feature another name.")
        checks.no_duplicates("sequence", [s.behavior for s in self.sequences])
        checks.no_duplicates("task", [t.name for t in self.tasks])
        for task in self.true_probabilities:
            checks.one_of(task, [t.name for t in self.tasks], "a key of `true_probabilities`")
        for table in self.tables:
            checks.one_of(table, (*TABLES, "prehistory"), "a key of `tables`")

    def _check_behaviors_known(self) -> None:
        if self.event_log is None:
            for name, columns in self.behaviors.items():
                for column in columns:
                    checks.text(column, f"a column of `behaviors.{name}`")
        for sequence in self.sequences:
            checks.one_of(sequence.behavior, self.behaviors, "`behavior` of a sequence")
        for statistic in self.past_statistics:
            if statistic.kind != "gap":
                checks.one_of(statistic.behavior, self.behaviors,
                              f"`behavior` of past statistic {statistic.name!r}")
        if self.prehistory:
            for behavior in [*self.prehistory.lists, *self.prehistory.counts]:
                checks.one_of(behavior, self.behaviors, "a behaviour of `prehistory`")

    def _check_sides(self) -> None:
        allowed = [f.name for f in self.features if f.table != "users" and f.kind in ID_KINDS]
        for sequence in self.sequences:
            for side in sequence.sides:
                checks.one_of(side, [*allowed, RECENCY],
                              f"a side of sequence {sequence.behavior!r}")
        if self.sequences and self.item_feature is None:
            raise SchemaError("`features` should hold the item id (table: interactions, column: "
                              f"{self.columns.item}), as sequences are made of items. "
                              "Received: no such feature.")

    def _check_event_log(self) -> None:
        if self.event_log is None:
            return
        labels = self.event_log.label_names
        for task in self.tasks:
            checks.one_of(task.label, labels, f"`label` of task {task.name!r} in an event log")
            checks.one_of(task.mask, (None, *labels), f"`mask` of task {task.name!r} in an event "
                          "log")
        taken = sorted({*labels} & {*self.needed_columns("interactions")})
        if taken:
            raise SchemaError("labels of `event_log` should have names that no column has. "
                              f"Received: {taken}.")

    def _check_no_leak(self) -> None:
        outcomes = {t.label for t in self.tasks} | set(self.true_probabilities.values())
        if self.event_log is not None:
            outcomes.add(self.event_log.type_column)
        else:
            outcomes |= {str(c) for columns in self.behaviors.values() for c in columns}
        for feature in self.features:
            if feature.table == "interactions" and feature.column in outcomes:
                raise SchemaError(f"`column` of feature {feature.name!r} should be known before "
                                  f"the impression. Received: {feature.column!r}, a label or "
                                  "feedback column (this leaks the label).")

    def _check_negatives(self) -> None:
        if self.negatives is None:
            return
        for task in self.tasks:
            zero_counts = task.at_least is not None and task.at_least <= 0
            if task.kind != "binary" or zero_counts or 0 in (task.one_of or ()):
                raise SchemaError(f"task {task.name!r} should be binary with 0 as a negative "
                                  "label, which drawn items get. Received: another label rule. "
                                  "Remove `negatives`, or mend the task.")
        for feature in self.features:
            if (feature.table == "interactions" and feature is not self.item_feature
                    and feature.resolved_level == "candidate"):
                raise SchemaError(f"feature {feature.name!r} of the item should be in the table "
                                  "`items`, as drawn items have no row in the log. Received: "
                                  "interactions. Make such a table, or remove `negatives`.")

    def _check_request(self) -> None:
        if self.request_window_seconds is None:
            return
        checks.at_least(self.request_window_seconds, 0.0, "`request_window_seconds`")
        if self.columns.request is not None:
            raise SchemaError("`request_window_seconds` should be given only where no column of "
                              "the log has the request's id. Received: it and `columns.request`, "
                              f"{self.columns.request!r}. Remove one of them.")

    @property
    def item_feature(self) -> Feature | None:
        """The feature that holds the item id; sequences share its vocabulary."""
        return next((f for f in self.features
                     if f.table == "interactions" and f.column == self.columns.item), None)

    @property
    def side_features(self) -> tuple[Feature, ...]:
        """Features that stand in sequences, the item first."""
        sides = {side for sequence in self.sequences for side in sequence.sides}
        return tuple(f for f in self.features if f is self.item_feature or f.name in sides)

    @property
    def feedback_columns(self) -> tuple[str, ...]:
        """Columns of interactions that say what happened; an event log has only its types."""
        names = [*self.true_probabilities.values()]
        if self.event_log is None:
            names = [*(str(c) for columns in self.behaviors.values() for c in columns),
                     *(t.label for t in self.tasks), *(t.mask for t in self.tasks if t.mask),
                     *names]
        return tuple(dict.fromkeys(names))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns that tell the rows of the log apart."""
        return (*self.columns.keys, *([self.event_log.type_column] if self.event_log else []))

    def needed_columns(self, table: str) -> tuple[str, ...]:
        """Columns to read of a table."""
        keys = {"interactions": self.key_columns, "users": (self.columns.user,),
                "items": (self.columns.item,)}[table]
        names = [*keys, *(f.column for f in self.features if f.table == table)]
        if table == "interactions":
            names += [self.columns.request] if self.columns.request else []
            names += self.feedback_columns
        return tuple(dict.fromkeys(names))

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> PrepareSpec:
        """Builds a spec from plain lists and dicts; messages begin with the key."""
        return checks.build(cls, config, "the prepare spec", {
            "columns": lambda v: checks.build(Columns, v, "columns"),
            "splits": lambda v: checks.build(Splits, v, "splits"),
            "behaviors": _behaviors,
            "features": lambda v: checks.build_all(Feature, v, "features"),
            "tasks": lambda v: checks.build_all(Task, v, "tasks", {
                "one_of": lambda codes: tuple(checks.sequence(codes, "one_of"))}),
            "sequences": lambda v: checks.build_all(Sequence, v, "sequences", {
                "sides": lambda sides: tuple(checks.sequence(sides, "sides"))}),
            "past_statistics": lambda v: checks.build_all(PastStatistic, v, "past_statistics"),
            "prehistory": lambda v: checks.build(Prehistory, v, "prehistory", {
                "lists": lambda m: _texts(m, "lists"),
                "counts": lambda m: _texts(m, "counts")}),
            "event_log": lambda v: checks.build(EventLog, v, "event_log", {
                "impression": lambda types: event_types(types, "impression"),
                "labels": lambda m: _types_of_labels(m, "labels"),
                "later_labels": lambda m: _types_of_labels(m, "later_labels")}),
            "negatives": lambda v: checks.build(Negatives, v, "negatives"),
            "tables": lambda v: _texts(v, "tables"),
            "true_probabilities": lambda v: _texts(v, "true_probabilities"),
            "synthetic": lambda v: dict(checks.mapping(v, "`synthetic`")),
        }, whole_file=True)


def load_prepare_spec(path: str | os.PathLike[str]) -> PrepareSpec:
    """Reads a prepare spec from a YAML file.

    Raises:
        SchemaError: The file is missing, is no YAML, or holds a mistake; the message names it.
    """
    return checks.load(path, "the prepare spec", PrepareSpec.from_dict)


def _behaviors(value: Any) -> dict[str, tuple[EventType, ...]]:
    for name in checks.mapping(value, "`behaviors`"):
        checks.identifier(name, "a key of `behaviors`")
    return {name: tuple(checks.sequence(names, f"behaviors.{name}"))
            for name, names in value.items()}


def _types_of_labels(value: Any, where: str) -> dict[str, tuple[EventType, ...]]:
    return {name: event_types(types, f"{where}.{name}")
            for name, types in checks.mapping(value, f"`{where}`").items()}


def _texts(value: Any, where: str) -> dict[str, str]:
    for key, item in checks.mapping(value, f"`{where}`").items():
        checks.text(item, f"`{where}.{key}`")
    return dict(value)
