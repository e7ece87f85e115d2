"""The schema: what a record holds and what is predicted from it. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dtrn_tf import checks
from dtrn_tf.errors import SchemaError
from dtrn_tf.files import write_text

# Rows 0 and 1 of every embedding table are reserved.
PADDING_ID = 0
OUT_OF_VOCABULARY_ID = 1
NUM_RESERVED_IDS = 2
# How records are laid out: one impression each, or one request with all of its candidates.
LAYOUTS = ("impression", "request")
LEVELS = ("request", "candidate")
# How many values of a feature a record may hold; see `RecordFeature`.
VALUES = ("one", "vector", "many", "position", "candidate")
_DTYPES = ("int64", "string", "float32")
# The types of raw ids that each kind of vocabulary takes.
_VOCABULARY_DTYPES = {"file": ("int64", "string"), "hash": ("int64", "string"),
                      "identity": ("int64",), "log_bucket": ("int64", "float32")}
# Beside the features of a batch of requests: for every candidate row the row of its request [B].
REQUEST_INDEX = "request_index"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """An id space, and so one embedding table; features that name it share the table.

    Kinds: `file` maps the lines of a vocabulary file to rows, `hash` hashes into `size` buckets,
    `identity` takes ids 0..size-1 as they are, `log_bucket` puts a number x (a count, a time gap)
    into bucket min(size - 1, floor(resolution * log2(1 + x))). Row 0 is padding, row 1 out of
    vocabulary: for `log_bucket` negative and not finite numbers.

    Args:
        name: What features refer to.
        kind: `file`, `hash`, `identity` or `log_bucket`.
        size: Number of ids, without the two reserved rows.
        dtype: `int64`, `string` or `float32`, the type of the raw ids; `identity` needs `int64`,
            and only `log_bucket` takes `float32`.
        file: Path of the vocabulary file, relative to the schema's directory; kind `file` only.
        resolution: Buckets per doubling; kind `log_bucket` only.

    >>> Vocabulary(name="tab", kind="identity", size=15).num_rows
    17
    """

    name: str
    kind: str = "file"
    size: int
    dtype: str = "int64"
    file: str | None = None
    resolution: float = 1.0

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a vocabulary")
        where = f"of vocabulary {self.name!r}"
        checks.one_of(self.kind, tuple(_VOCABULARY_DTYPES), f"`kind` {where}")
        checks.one_of(self.dtype, _DTYPES, f"`dtype` {where}")
        checks.whole_at_least(self.size, 1, f"`size` {where}")
        allowed = _VOCABULARY_DTYPES[self.kind]
        if self.dtype not in allowed:
            raise SchemaError(f"`dtype` {where} should be {' or '.join(map(repr, allowed))} for "
                              f"kind {self.kind!r}. Received: {self.dtype!r}.")
        if (self.kind == "file") != isinstance(self.file, str):
            raise SchemaError(f"`file` {where} should be a path for kind 'file' and absent for "
                              f"other kinds. Received: kind={self.kind!r}, file={self.file!r}.")
        self._check_resolution(where)

    def _check_resolution(self, where: str) -> None:
        checks.at_least(self.resolution, 0.0, f"`resolution` {where}")
        if self.kind != "log_bucket" and self.resolution != 1.0:
            raise SchemaError(f"`resolution` {where} should be given for kind 'log_bucket' only. "
                              f"Received: {self.resolution} for kind {self.kind!r}.")
        if self.kind == "log_bucket" and self.size > 63 * self.resolution:
            raise SchemaError(f"`size` {where} should be at most 63 times `resolution`: no number "
                              f"falls into further buckets. Received: size={self.size}, "
                              f"resolution={self.resolution}.")

    @property
    def num_rows(self) -> int:
        """Rows of the embedding table, reserved ones included."""
        return self.size + NUM_RESERVED_IDS


@dataclass(frozen=True, kw_only=True)
class CategoricalFeature:
    """One id per row, or with `multiple` any number of ids, pooled into one field.

    Args:
        name: What the model and its signatures call it.
        vocabulary: Name of its id space.
        level: `request` (user, context) or `candidate` (item, cross).
        feature: Name in the records; by default `name`.
        default: The id that a record without the feature means; without it that is an error.
        multiple: A record holds a list of ids.
        pooling: `mean` or `sum` of the ids' embeddings, zeros if there are none; for `multiple`.
        weights: Name in the records of a list of floats, one for each id of `multiple`: the mean
            or sum is weighted with them.
        optional: A record without the list means an empty one; for `multiple`.
        padding: An id that only fills the list up; for `multiple`.

    >>> CategoricalFeature(name="author", vocabulary="author", level="candidate").level
    'candidate'
    >>> tags = CategoricalFeature(name="tags", vocabulary="tag", level="candidate", feature="616",
    ...                           multiple=True, weights="616-weights", optional=True)
    >>> tags.source, tags.length_name, tags.weights_name
    ('616', 'tags_length', 'tags_weights')
    """

    name: str
    vocabulary: str
    level: str
    feature: str | None = None
    default: int | float | str | None = None
    multiple: bool = False
    pooling: str = "mean"
    weights: str | None = None
    optional: bool = False
    padding: int | str | None = None

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a categorical feature")
        where = f"of feature {self.name!r}"
        checks.one_of(self.level, LEVELS, f"`level` {where}")
        checks.one_of(self.pooling, ("mean", "sum"), f"`pooling` {where}")
        checks.flag(self.multiple, f"`multiple` {where}")
        checks.flag(self.optional, f"`optional` {where}")
        _optional_feature_name(self.feature, f"`feature` {where}")
        _optional_feature_name(self.weights, f"`weights` {where}")
        self._check_multiple(where)

    def _check_multiple(self, where: str) -> None:
        of_lists = {"pooling": self.pooling != "mean", "weights": self.weights is not None,
                    "optional": self.optional, "padding": self.padding is not None}
        given = [name for name, is_given in of_lists.items() if is_given]
        if given and not self.multiple:
            raise SchemaError(f"{given} {where} should be given with `multiple: true` only. "
                              "Received: one value a row (whose absence `default` allows).")
        if self.multiple and self.default is not None:
            raise SchemaError(f"`default` {where} should be given for one value a row only. "
                              f"Received: {self.default!r} for a list, whose absence `optional: "
                              "true` allows.")

    @property
    def source(self) -> str:
        """Its name in the records."""
        return self.feature or self.name

    @property
    def length_name(self) -> str:
        """Where the dense form of a batch has the number of ids [B], for `multiple`."""
        return f"{self.name}_length"

    @property
    def weights_name(self) -> str:
        """What the model calls the weights of the ids."""
        return f"{self.name}_weights"


@dataclass(frozen=True, kw_only=True)
class NumericFeature:
    """One field made of a number, or of `size` numbers of a longer list in the record.

    Numbers are normalised one by one with the statistics kept beside the vocabularies.

    Args:
        name: What the model and its signatures call it.
        level: `request` or `candidate`.
        transform: `identity`, or `log1p` for counts with a long tail: sign(x) * log(1 + |x|).
        feature: Name in the records; by default `name`. Several features may read one list.
        dtype: `float32` or `int64`, the type in the records.
        offset: Where in the record's list the field's numbers begin.
        size: How many numbers make the field.
        length: How many numbers the record's list has; by default, the ends of all features that
            read it tell.
        default: The number that stands in every place of a list that a record does not have;
            without it that is an error.

    >>> NumericFeature(name="duration", level="candidate", transform="log1p").transform
    'log1p'
    >>> NumericFeature(name="user_vector", level="request", feature="dense", offset=3, size=512,
    ...                length=615).end
    515
    """

    name: str
    level: str
    transform: str = "identity"
    feature: str | None = None
    dtype: str = "float32"
    offset: int = 0
    size: int = 1
    length: int | None = None
    default: float | None = None

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a numeric feature")
        where = f"of feature {self.name!r}"
        checks.one_of(self.level, LEVELS, f"`level` {where}")
        checks.one_of(self.transform, ("identity", "log1p"), f"`transform` {where}")
        _optional_feature_name(self.feature, f"`feature` {where}")
        checks.one_of(self.dtype, ("float32", "int64"), f"`dtype` {where}")
        checks.whole_at_least(self.offset, 0, f"`offset` {where}")
        checks.whole_at_least(self.size, 1, f"`size` {where}")
        if self.length is not None:
            checks.whole_at_least(self.length, self.end, f"`length` {where}, from its offset on,")
        if self.default is not None:
            _check_default(self.default, self.dtype, where)

    @property
    def source(self) -> str:
        """Its name in the records."""
        return self.feature or self.name

    @property
    def end(self) -> int:
        """Where in the record's list the field's numbers end."""
        return self.offset + self.size


@dataclass(frozen=True, kw_only=True)
class SequenceFeature:
    """One of the aligned lists of a behaviour sequence: the item, or a side (author, gap).

    Args:
        name: What the model and its signatures call it.
        vocabulary: Name of its id space.
        feature: Name in the records; by default `name`.
        gap: The record has times and the model gets the gaps, request time - time, so the
            vocabulary is one of kind `log_bucket`.

    >>> SequenceFeature(name="liked_item", vocabulary="item").source
    'liked_item'
    """

    name: str
    vocabulary: str
    feature: str | None = None
    gap: bool = False

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a sequence feature")
        _optional_feature_name(self.feature, f"`feature` of feature {self.name!r}")
        checks.flag(self.gap, f"`gap` of feature {self.name!r}")

    @property
    def source(self) -> str:
        """Its name in the records."""
        return self.feature or self.name


@dataclass(frozen=True, kw_only=True)
class BehaviorSequence:
    """What a user did before the request, of one behaviour type.

    Args:
        name: The behaviour type, for example `liked`.
        max_length: Longer sequences are cut to their newest `max_length` positions.
        features: Aligned lists of equal length; the first one names the item.
        order: `newest_last` or `newest_first`, how the records have them.
        optional: A record without the lists means empty ones; without this it is an error.
        padding: An item that only fills sequences up in the records; its positions are left out.

    >>> BehaviorSequence(name="liked", max_length=5,
    ...                  features=(SequenceFeature(name="liked_item", vocabulary="item"),)).name
    'liked'
    """

    name: str
    max_length: int
    features: tuple[SequenceFeature, ...]
    order: str = "newest_last"
    optional: bool = False
    padding: int | str | None = None

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a behaviour")
        where = f"of behaviour {self.name!r}"
        checks.whole_at_least(self.max_length, 1, f"`max_length` {where}")
        checks.one_of(self.order, ("newest_last", "newest_first"), f"`order` {where}")
        checks.flag(self.optional, f"`optional` {where}")
        if not self.features:
            raise SchemaError(f"`features` {where} should name at least the item sequence. "
                              "Received: none.")

    @property
    def length_name(self) -> str:
        """Where the dense form of a batch has the number of valid positions [B]."""
        return f"{self.name}_length"


@dataclass(frozen=True, kw_only=True)
class RequestTime:
    """When the request was made, in the unit of the sequences' times; never a field.

    >>> RequestTime(name="now", feature="request-ts").source
    'request-ts'
    """

    name: str
    feature: str | None = None
    dtype: str = "int64"

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of the request time")
        where = f"of request time {self.name!r}"
        _optional_feature_name(self.feature, f"`feature` {where}")
        checks.one_of(self.dtype, ("int64", "float32"), f"`dtype` {where}")

    @property
    def source(self) -> str:
        """Its name in the records."""
        return self.feature or self.name


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prediction target: a label feature and how it becomes a label.

    Label rule: as is (neither given), `at_least: x` (label >= x), or `one_of: [codes]`.

    Args:
        name: Task name; becomes an output and a signature.
        label: Feature in the record that holds the label or its code.
        dtype: `int64` or `float32`, the type of the label feature.
        default: The label or code that a record without the feature means; without it that is an
            error.
        at_least: Positive where the label feature is >= this value.
        one_of: Positive where the label feature is one of these codes.
        mask: Optional feature (0 or 1): rows with 0 are not observed for this task.
        kind: `binary` or `regression` (label as is, squared error).
        weight: Weight of the task's loss in the sum.

    >>> Task(name="order", label="label", one_of=(4, 5)).one_of
    (4, 5)
    """

    name: str
    label: str
    dtype: str = "int64"
    at_least: float | None = None
    one_of: tuple[float, ...] | None = None
    mask: str | None = None
    kind: str = "binary"
    weight: float = 1.0
    default: float | None = None

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a task")
        where = f"of task {self.name!r}"
        _feature_name(self.label, f"`label` {where}")
        if self.mask is not None:
            _feature_name(self.mask, f"`mask` {where}")
        checks.one_of(self.dtype, ("int64", "float32"), f"`dtype` {where}")
        checks.one_of(self.kind, ("binary", "regression"), f"`kind` {where}")
        checks.at_least(self.weight, 0.0, f"`weight` {where}")
        if self.default is not None:
            _check_default(self.default, self.dtype, where)
        if self.at_least is not None:
            checks.at_least(self.at_least, float("-inf"), f"`at_least` {where}")
        if self.one_of is not None:
            self._check_codes(where)
        rules = [rule for rule in (self.at_least, self.one_of) if rule is not None]
        if len(rules) > 1 or (rules and self.kind == "regression"):
            raise SchemaError(f"the label rule {where} should be at most one of `at_least` and "
                              "`one_of`, and none for a regression. "
                              f"Received: at_least={self.at_least}, one_of={self.one_of}, "
                              f"kind={self.kind!r}.")

    def _check_codes(self, where: str) -> None:
        if not self.one_of:
            raise SchemaError(f"`one_of` {where} should list at least one code. Received: [].")
        for code in self.one_of:
            checks.at_least(code, float("-inf"), f"every code in `one_of` {where}")


@dataclass(frozen=True, kw_only=True)
class GroupKey:
    """The raw feature whose values group rows for GAUC, usually the user id; no input by itself.

    An input may read the same feature of the records under a name of its own.

    Args:
        name: What the metrics get it under.
        dtype: `int64` or `string`.
        feature: Name in the records; by default `name`.
        default: The key that a record without the feature means; without it that is an error.

    >>> GroupKey(name="user_key", feature="user-id").dtype
    'int64'
    """

    name: str
    dtype: str = "int64"
    feature: str | None = None
    default: int | str | None = None

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of the group key")
        where = f"of group key {self.name!r}"
        checks.one_of(self.dtype, ("int64", "string"), f"`dtype` {where}")
        _optional_feature_name(self.feature, f"`feature` {where}")
        if self.default is not None:
            _check_default(self.default, self.dtype, where)

    @property
    def source(self) -> str:
        """Its name in the records."""
        return self.feature or self.name


@dataclass(frozen=True, kw_only=True)
class RecordFeature:
    """One feature as it stands in a record; see `Schema.record_features`.

    Args:
        name: Its name in the records, any text.
        dtype: `int64`, `float32` or `string`.
        role: `input`, `label` (labels, label masks, sample weight) or `group`. An input may be the
            group key too.
        values: How many a record holds: `one`; a `vector` of always `size` numbers; `many`, a list
            of any number that belong to one row; a list of one per `position` of a behaviour
            sequence; or a list of `size` (usually 1) per `candidate` of a request.
        size: Length of a vector.
        default: What a record without the feature means: this value in every place, or `()`, an
            empty list. None: every record should have it.
    """

    name: str
    dtype: str
    role: str = "input"
    values: str = "one"
    size: int = 1
    default: int | float | str | tuple[()] | None = None

    @property
    def is_list(self) -> bool:
        """Whether the number of values differs between records."""
        return self.values in ("many", "position", "candidate")

    @property
    def is_optional(self) -> bool:
        """Whether a record may lack it."""
        return self.default is not None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Everything a reader, a model and an export need to know about the records.

    Args:
        layout: What one record is: an `impression`, or a `request` with all of its candidates.
        vocabularies: Id spaces.
        features: Categorical and numeric features, one field each.
        behaviors: Behaviour sequences of the request; may be empty.
        time: Time of the request, if a sequence has times whose gaps to it are wanted.
        tasks: At least one.
        sample_weight: Optional float feature that weights the whole row.
        group: Optional key that groups rows for GAUC.

    Raises:
        SchemaError: A name is used twice or in two roles, or is reserved; a vocabulary is unknown
            or of the wrong type; parts contradict each other about a feature of the records;
            requests have no feature of the candidates, or one that their records cannot hold.

    >>> schema = Schema(
    ...     vocabularies=(Vocabulary(name="item", kind="hash", size=100),),
    ...     features=(CategoricalFeature(name="item", vocabulary="item", level="candidate"),),
    ...     tasks=(Task(name="click", label="is_click"),))
    >>> Schema.from_dict(schema.to_dict()) == schema
    True
    """

    layout: str = "impression"
    vocabularies: tuple[Vocabulary, ...]
    features: tuple[CategoricalFeature | NumericFeature, ...]
    behaviors: tuple[BehaviorSequence, ...] = ()
    time: RequestTime | None = None
    tasks: tuple[Task, ...]
    sample_weight: str | None = None
    group: GroupKey | None = None

    def __post_init__(self) -> None:
        checks.one_of(self.layout, LAYOUTS, "`layout`")
        if not self.tasks:
            raise SchemaError("`tasks` should hold at least one task. Received: none.")
        if not self.features:
            raise SchemaError("`features` should hold at least one feature. Received: none.")
        for kind, names in (
            ("vocabulary", [v.name for v in self.vocabularies]),
            ("task", [t.name for t in self.tasks]),
            ("behaviour", [b.name for b in self.behaviors]),
            ("feature", [f.name for f in self.features]
                + [f.name for b in self.behaviors for f in b.features]),
        ):
            checks.no_duplicates(kind, names)
        self._check_vocabularies()
        self._check_times()
        self._check_roles()
        self._check_names()
        self._check_label_dtypes()
        self._check_requests()
        self._check_records()

    def _check_vocabularies(self) -> None:
        known = [v.name for v in self.vocabularies]
        for feature in self.id_features:
            checks.one_of(feature.vocabulary, known, f"`vocabulary` of feature {feature.name!r}")
        for feature in self.categorical_features:
            dtype = self.vocabulary(feature.vocabulary).dtype
            for value in (feature.default, feature.padding):
                if value is not None:
                    _check_default(value, dtype, f"of feature {feature.name!r}")
        for behavior in self.behaviors:
            if behavior.padding is not None:
                _check_default(behavior.padding,
                               self.vocabulary(behavior.features[0].vocabulary).dtype,
                               f"of behaviour {behavior.name!r}")

    def _check_times(self) -> None:
        gaps = [f for f in self.sequence_features if f.gap]
        if bool(gaps) != (self.time is not None):
            raise SchemaError("`time` should be given if a sequence feature has `gap: true`, and "
                              f"only then. Received: time={self.time and self.time.name!r}, gaps: "
                              f"{[f.name for f in gaps]}.")
        for feature in gaps:
            assert self.time is not None
            vocabulary = self.vocabulary(feature.vocabulary)
            if (vocabulary.kind, vocabulary.dtype) != ("log_bucket", self.time.dtype):
                raise SchemaError(f"`vocabulary` of the gaps {feature.name!r} should be of kind "
                                  f"'log_bucket' and, like `time`, of dtype {self.time.dtype!r}. "
                                  f"Received: kind {vocabulary.kind!r}, dtype "
                                  f"{vocabulary.dtype!r}.")

    def _check_roles(self) -> None:
        """A feature of the records is an input, or a label or mask, or the sample weight."""
        if self.sample_weight is not None:
            _feature_name(self.sample_weight, "`sample_weight`")
        inputs = {f.name for f in self._inputs}
        targets = [name for t in self.tasks for name in (t.label, t.mask) if name is not None]
        for name in [*targets, self.sample_weight]:
            if name in inputs:
                raise SchemaError(f"feature {name!r} should be either an input or a label, label "
                                  "mask or sample weight. Received: both (this leaks the label).")
        if self.sample_weight in targets:
            raise SchemaError(f"`sample_weight` should be a feature of its own. Received: "
                              f"{self.sample_weight!r}, which is a label or label mask.")
        if self.group and self.group.source in {*targets, self.sample_weight}:
            raise SchemaError(f"group key {self.group.source!r} should be a feature of its own. "
                              "Received: a name that is a label, label mask or sample weight too.")

    def _check_names(self) -> None:
        """Every tensor of a batch has a name of its own, those that we add included."""
        taken = {f.name: f"feature {f.name!r}" for f in (*self.features, *self.sequence_features)}
        if self.group and self.group.name in taken:
            raise SchemaError(f"group key {self.group.name!r} should have a name of its own, as it "
                              "reaches the metrics raw. Received: the name of an input too. Give "
                              "it another `name`, and this one as `feature`.")
        for name, why in self._other_names():
            if name in taken:
                raise SchemaError(f"{taken[name]} should have another name, as {why}. Received: "
                                  "this name.")
            taken[name] = f"{name!r}"

    def _other_names(self) -> Iterator[tuple[str, str]]:
        """Names of a batch beside those of the features, and whose they are."""
        labels = [name for t in self.tasks for name in (t.label, t.mask)] + [self.sample_weight]
        for label in dict.fromkeys(filter(None, labels)):
            yield label, "a label, label mask or sample weight of the records has it"
        if self.group:
            yield self.group.name, "the group key has it"
        if self.time:
            yield self.time.name, "the request time has it"
        for b in self.behaviors:
            yield b.length_name, (f"servers give the number of positions of behaviour {b.name!r} "
                                  "under it")
        for f in self.multiple_features:
            yield f.length_name, f"servers give the number of values of feature {f.name!r} under it"
            if f.weights:
                yield f.weights_name, f"the weights of feature {f.name!r} have it"
        yield REQUEST_INDEX, ("a batch of requests says under it to which request a candidate "
                              "belongs")

    def _check_label_dtypes(self) -> None:
        labels: dict[str, str] = {}
        for task in self.tasks:
            if labels.setdefault(task.label, task.dtype) != task.dtype:
                raise SchemaError(f"`dtype` of task {task.name!r} should equal that of other tasks "
                                  f"with label {task.label!r}. Received: {task.dtype!r}.")

    def _check_requests(self) -> None:
        """Records of requests hold lists of candidates, so no lists and no gaps per candidate."""
        if self.layout != "request":
            return
        candidates = [f for f in self.features if f.level == "candidate"]
        if not candidates:
            raise SchemaError("`features` of layout 'request' should hold a feature of level "
                              "'candidate', which tells how many candidates a request has. "
                              "Received: none.")
        for feature in self.multiple_features:
            if feature.level == "candidate":
                raise SchemaError(f"feature {feature.name!r} of the candidates should have one "
                                  "value each with layout 'request', as an Example cannot hold a "
                                  "list of lists. Received: multiple=True. Write impressions, or "
                                  "one feature per place in the list.")
        for part in (*candidates, *self.tasks):
            if part.default is not None:
                raise SchemaError(f"`default` of {part.name!r} should be absent with layout "
                                  "'request': a record without the list does not tell how many "
                                  f"values it would have. Received: {part.default!r}.")

    def _check_records(self) -> None:
        """Parts that read the same feature of the records describe it equally."""
        found: dict[str, RecordFeature] = {}
        for feature in self._described:
            known = found.setdefault(feature.name, feature)
            if dataclasses.replace(feature, role=known.role) != known:
                raise SchemaError(f"all that reads feature {feature.name!r} of the records should "
                                  "agree about it. Received: "
                                  f"{_description(known)}, and {_description(feature)}.")

    @property
    def categorical_features(self) -> tuple[CategoricalFeature, ...]:
        return tuple(f for f in self.features if isinstance(f, CategoricalFeature))

    @property
    def multiple_features(self) -> tuple[CategoricalFeature, ...]:
        """Those with any number of ids a row."""
        return tuple(f for f in self.categorical_features if f.multiple)

    @property
    def field_names(self) -> list[str]:
        """The fields of a row's representation: of the request, behaviours, of the candidate."""
        of_level = {level: [f.name for f in self.features if f.level == level]
                    for level in ("request", "candidate")}
        behaviors = [behavior.name for behavior in self.behaviors]
        return [*of_level["request"], *behaviors, *of_level["candidate"]]

    @property
    def numeric_features(self) -> tuple[NumericFeature, ...]:
        return tuple(f for f in self.features if isinstance(f, NumericFeature))

    @property
    def scalar_features(self) -> tuple[NumericFeature, ...]:
        """Fields of one number."""
        return tuple(f for f in self.numeric_features if f.size == 1)

    @property
    def vector_features(self) -> tuple[NumericFeature, ...]:
        """Fields of several numbers."""
        return tuple(f for f in self.numeric_features if f.size > 1)

    @property
    def sequence_features(self) -> tuple[SequenceFeature, ...]:
        return tuple(f for b in self.behaviors for f in b.features)

    @property
    def id_features(self) -> tuple[CategoricalFeature | SequenceFeature, ...]:
        """Every feature that looks rows up in an embedding table."""
        return self.categorical_features + self.sequence_features

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.tasks)

    @functools.cached_property
    def record_features(self) -> tuple[RecordFeature, ...]:
        """Every feature a record holds, once, in the order inputs, labels, group key."""
        return tuple({f.name: f for f in reversed(self._described)}[name]
                     for name in dict.fromkeys(f.name for f in self._described))

    @functools.cached_property
    def aligned_features(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Lists of a record that are of equal length: what they are, and their names there."""
        found = [(f"the sequences of behaviour {b.name!r}", tuple(f.source for f in b.features))
                 for b in self.behaviors]
        found += [(f"ids and weights of feature {f.name!r}", (f.source, f.weights))
                  for f in self.categorical_features if f.weights]
        if self.candidate_lists:
            found.append(("the lists of candidates", self.candidate_lists))
        return tuple(found)

    @functools.cached_property
    def candidate_lists(self) -> tuple[str, ...]:
        """What a record holds once per candidate, in lists; nothing in impressions."""
        return tuple(f.name for f in self.record_features if f.values == "candidate")

    @property
    def _described(self) -> list[RecordFeature]:
        """Every part's view of the feature that it reads."""
        return [*self._inputs, *self._targets]

    @property
    def _inputs(self) -> list[RecordFeature]:
        found = [feature for f in self.categorical_features for feature in self._ids_of(f)]
        found += [self._numbers_of(f) for f in self.numeric_features]
        found += [RecordFeature(name=f.source, dtype=self.vocabulary(f.vocabulary).dtype,
                                values="position", default=() if b.optional else None)
                  for b in self.behaviors for f in b.features]
        if self.time:
            found.append(RecordFeature(name=self.time.source, dtype=self.time.dtype))
        return found

    def _ids_of(self, feature: CategoricalFeature) -> Iterator[RecordFeature]:
        dtype = self.vocabulary(feature.vocabulary).dtype
        if not feature.multiple:
            yield RecordFeature(name=feature.source, dtype=dtype, default=feature.default,
                                values=self._values_of_level[feature.level])
            return
        default = () if feature.optional else None
        yield RecordFeature(name=feature.source, dtype=dtype, values="many", default=default)
        if feature.weights:
            yield RecordFeature(name=feature.weights, dtype="float32", values="many",
                                default=default)

    def _numbers_of(self, feature: NumericFeature) -> RecordFeature:
        readers = [f for f in self.numeric_features if f.source == feature.source]
        size = max(f.length or f.end for f in readers)
        values = self._values_of_level[feature.level]
        return RecordFeature(name=feature.source, dtype=feature.dtype, size=size,
                             values="vector" if values == "one" and size > 1 else values,
                             default=feature.default)

    @property
    def _targets(self) -> list[RecordFeature]:
        """Labels, label masks, sample weight and group key."""
        values = self._values_of_level["candidate"]
        found = [RecordFeature(name=t.label, dtype=t.dtype, role="label", values=values,
                               default=t.default) for t in self.tasks]
        # The label of one task may be the mask of another: a purchase is known after a click.
        labels = {t.label for t in self.tasks}
        found += [RecordFeature(name=t.mask, dtype="int64", role="label", values=values)
                  for t in self.tasks if t.mask and t.mask not in labels]
        if self.sample_weight:
            found.append(RecordFeature(name=self.sample_weight, dtype="float32", role="label",
                                       values=values))
        if self.group:
            found.append(RecordFeature(name=self.group.source, dtype=self.group.dtype,
                                       role="group", default=self.group.default))
        return found

    @property
    def _values_of_level(self) -> dict[str, str]:
        return {"request": "one", "candidate": "candidate" if self.layout == "request" else "one"}

    def vocabulary(self, name: str) -> Vocabulary:
        return next(v for v in self.vocabularies if v.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, defaults left out; `from_dict` is the inverse."""
        return _to_plain(self)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Schema:
        """Builds a schema from plain lists and dicts.

        Raises:
            SchemaError: The message begins with the key, for example `behaviors[1].max_length`.
        """
        return checks.build(cls, config, "the schema", {
            "vocabularies": lambda v: checks.build_all(Vocabulary, v, "vocabularies"),
            "features": lambda v: tuple(
                _build_feature(item, f"features[{i}]")
                for i, item in enumerate(checks.sequence(v, "features"))),
            "behaviors": lambda v: checks.build_all(BehaviorSequence, v, "behaviors", {
                "features": lambda f: checks.build_all(SequenceFeature, f, "features")}),
            "tasks": lambda v: checks.build_all(Task, v, "tasks", {
                "one_of": lambda codes: tuple(checks.sequence(codes, "one_of"))}),
            "time": lambda v: checks.build(RequestTime, v, "time"),
            "group": lambda v: checks.build(GroupKey, v, "group"),
        }, whole_file=True)


def load_schema(path: str | os.PathLike[str]) -> Schema:
    """Reads a schema from a YAML file.

    Raises:
        SchemaError: The file is missing, is no YAML, or holds a mistake; the message names it.
    """
    return checks.load(path, "the schema", Schema.from_dict)


def save_schema(schema: Schema, path: str | os.PathLike[str]) -> None:
    """Writes the schema as YAML."""
    write_text(path, yaml.safe_dump(schema.to_dict(), sort_keys=False, width=100))


def _feature_name(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value:
        raise SchemaError(f"{where} should name a feature of the records. Received: {value!r}.")


def _optional_feature_name(value: Any, where: str) -> None:
    if value is not None:
        _feature_name(value, where)


def _check_default(value: Any, dtype: str, where: str) -> None:
    types = {"int64": (int,), "float32": (int, float), "string": (str,)}[dtype]
    if type(value) not in types:
        raise SchemaError(f"a default or padding {where} should be of dtype {dtype!r}. Received: "
                          f"{value!r}.")


def _description(feature: RecordFeature) -> str:
    return (f"{feature.values} (dtype={feature.dtype!r}, size={feature.size}, "
            f"default={feature.default!r})")


def _build_feature(item: Any, where: str) -> CategoricalFeature | NumericFeature:
    is_categorical = "vocabulary" in checks.mapping(item, where)
    return checks.build(CategoricalFeature if is_categorical else NumericFeature, item, where)


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            field.name: _to_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return value
