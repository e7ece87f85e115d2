"""The schema: what a record holds and what is predicted from it. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
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
# Which request a candidate row belongs to; no feature has this name.
REQUEST_INDEX = "request_index"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """An id space, and so one embedding table; features that name it share the table.

    Kinds: `file` maps the lines of a vocabulary file to rows, `hash` hashes into `size` buckets,
    `identity` takes ids 0..size-1 as they are. Row 0 is padding, row 1 out of vocabulary.

    Args:
        name: What features refer to.
        kind: `file`, `hash` or `identity`.
        size: Number of ids, without the two reserved rows.
        dtype: `int64` or `string`, the type of the raw ids; `identity` needs `int64`.
        file: Path of the vocabulary file, relative to the schema's directory; kind `file` only.

    >>> Vocabulary(name="tab", kind="identity", size=15).num_rows
    17
    """

    name: str
    kind: str = "file"
    size: int
    dtype: str = "int64"
    file: str | None = None

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a vocabulary")
        where = f"of vocabulary {self.name!r}"
        checks.one_of(self.kind, ("file", "hash", "identity"), f"`kind` {where}")
        checks.one_of(self.dtype, ("int64", "string"), f"`dtype` {where}")
        checks.whole_at_least(self.size, 1, f"`size` {where}")
        if self.kind == "identity" and self.dtype != "int64":
            raise SchemaError(f"`dtype` {where} should be 'int64' for kind 'identity'. "
                              f"Received: {self.dtype!r}.")
        if (self.kind == "file") != isinstance(self.file, str):
            raise SchemaError(f"`file` {where} should be a path for kind 'file' and absent for "
                              f"other kinds. Received: kind={self.kind!r}, file={self.file!r}.")

    @property
    def num_rows(self) -> int:
        """Rows of the embedding table, reserved ones included."""
        return self.size + NUM_RESERVED_IDS


@dataclass(frozen=True, kw_only=True)
class CategoricalFeature:
    """One id per row, of the request (user, context) or of the candidate (item, cross).

    >>> CategoricalFeature(name="author", vocabulary="author", level="candidate").level
    'candidate'
    """

    name: str
    vocabulary: str
    level: str

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a categorical feature")
        checks.one_of(self.level, ("request", "candidate"), f"`level` of feature {self.name!r}")


@dataclass(frozen=True, kw_only=True)
class NumericFeature:
    """One number per row; normalised with the statistics kept beside the vocabularies.

    Args:
        name: Feature name in the records.
        level: `request` or `candidate`.
        transform: `identity`, or `log1p` for counts with a long tail: sign(x) * log(1 + |x|).

    >>> NumericFeature(name="duration", level="candidate", transform="log1p").transform
    'log1p'
    """

    name: str
    level: str
    transform: str = "identity"

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a numeric feature")
        checks.one_of(self.level, ("request", "candidate"), f"`level` of feature {self.name!r}")
        checks.one_of(self.transform, ("identity", "log1p"),
                      f"`transform` of feature {self.name!r}")


@dataclass(frozen=True, kw_only=True)
class SequenceFeature:
    """One of the aligned id lists of a behaviour sequence: the item, or a side (author, gap).

    >>> SequenceFeature(name="liked_item", vocabulary="item").vocabulary
    'item'
    """

    name: str
    vocabulary: str

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a sequence feature")


@dataclass(frozen=True, kw_only=True)
class BehaviorSequence:
    """What a user did before the request, of one behaviour type, oldest first, newest last.

    Args:
        name: The behaviour type, for example `liked`.
        max_length: Longer sequences are cut to their newest `max_length` positions.
        features: Aligned lists of equal length; the first one names the item.

    >>> BehaviorSequence(name="liked", max_length=5,
    ...                  features=(SequenceFeature(name="liked_item", vocabulary="item"),)).name
    'liked'
    """

    name: str
    max_length: int
    features: tuple[SequenceFeature, ...]

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a behaviour")
        checks.whole_at_least(self.max_length, 1, f"`max_length` of behaviour {self.name!r}")
        if not self.features:
            raise SchemaError(f"`features` of behaviour {self.name!r} should name at least the "
                              "item sequence. Received: none.")

    @property
    def length_name(self) -> str:
        """Where the dense form of a batch has the number of valid positions [B]."""
        return f"{self.name}_length"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prediction target: a label feature and how it becomes a label.

    Label rule: as is (neither given), `at_least: x` (label >= x), or `one_of: [codes]`.

    Args:
        name: Task name; becomes an output and a signature.
        label: Feature in the record that holds the label or its code.
        dtype: `int64` or `float32`, the type of the label feature.
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

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of a task")
        where = f"of task {self.name!r}"
        _feature_name(self.label, f"`label` {where}")
        if self.mask is not None:
            _feature_name(self.mask, f"`mask` {where}")
        checks.one_of(self.dtype, ("int64", "float32"), f"`dtype` {where}")
        checks.one_of(self.kind, ("binary", "regression"), f"`kind` {where}")
        checks.at_least(self.weight, 0.0, f"`weight` {where}")
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
    """The raw feature whose values group rows for GAUC, usually the user id; never an input.

    >>> GroupKey(name="user_id").dtype
    'int64'
    """

    name: str
    dtype: str = "int64"

    def __post_init__(self) -> None:
        checks.identifier(self.name, "`name` of the group key")
        checks.one_of(self.dtype, ("int64", "string"), f"`dtype` of group key {self.name!r}")


@dataclass(frozen=True, kw_only=True)
class RecordFeature:
    """One feature as it stands in a record; see `Schema.record_features`.

    Args:
        name: Feature name.
        dtype: `int64`, `float32` or `string`.
        role: `input`, `label` (labels, label masks, sample weight) or `group`.
        is_list: Whether a record holds any number of values instead of exactly one.
    """

    name: str
    dtype: str
    role: str = "input"
    is_list: bool = False


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Everything a reader, a model and an export need to know about the records.

    Args:
        vocabularies: Id spaces.
        features: Categorical and numeric features, one field each.
        behaviors: Behaviour sequences of the request; may be empty.
        tasks: At least one.
        sample_weight: Optional float feature that weights the whole row.
        group: Optional key that groups rows for GAUC.

    Raises:
        SchemaError: A name is used twice or in two roles, or a vocabulary is unknown.

    >>> schema = Schema(
    ...     vocabularies=(Vocabulary(name="item", kind="hash", size=100),),
    ...     features=(CategoricalFeature(name="item", vocabulary="item", level="candidate"),),
    ...     tasks=(Task(name="click", label="is_click"),))
    >>> Schema.from_dict(schema.to_dict()) == schema
    True
    """

    vocabularies: tuple[Vocabulary, ...]
    features: tuple[CategoricalFeature | NumericFeature, ...]
    behaviors: tuple[BehaviorSequence, ...] = ()
    tasks: tuple[Task, ...]
    sample_weight: str | None = None
    group: GroupKey | None = None

    def __post_init__(self) -> None:
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
        self._check_vocabularies_known()
        self._check_roles()
        self._check_label_dtypes()
        self._check_length_names()

    def _check_vocabularies_known(self) -> None:
        known = [v.name for v in self.vocabularies]
        for feature in self.id_features:
            checks.one_of(feature.vocabulary, known, f"`vocabulary` of feature {feature.name!r}")

    def _check_roles(self) -> None:
        """A feature is one of: input, label or mask, sample weight, group key."""
        if self.sample_weight is not None:
            _feature_name(self.sample_weight, "`sample_weight`")
        inputs = {f.name for f in self.features} | {f.name for f in self.id_features}
        targets = [name for t in self.tasks for name in (t.label, t.mask) if name is not None]
        for name in [*targets, self.sample_weight]:
            if name in inputs:
                raise SchemaError(f"feature {name!r} should be either an input or a label, label "
                                  "mask or sample weight. Received: both (this leaks the label).")
        if self.sample_weight in targets:
            raise SchemaError(f"`sample_weight` should be a feature of its own. Received: "
                              f"{self.sample_weight!r}, which is a label or label mask.")
        if self.group and self.group.name in {*inputs, *targets, self.sample_weight}:
            raise SchemaError(f"group key {self.group.name!r} should be a feature of its own, as "
                              "it reaches the metrics raw. Received: a name that is an input, "
                              "label, label mask or sample weight too. Write it to the records "
                              "under a second name.")

    def _check_label_dtypes(self) -> None:
        labels: dict[str, str] = {}
        for task in self.tasks:
            if labels.setdefault(task.label, task.dtype) != task.dtype:
                raise SchemaError(f"`dtype` of task {task.name!r} should equal that of other tasks "
                                  f"with label {task.label!r}. Received: {task.dtype!r}.")

    def _check_length_names(self) -> None:
        names = {f.name for f in self.features} | {f.name for f in self.id_features}
        for behavior in self.behaviors:
            if behavior.length_name in names:
                raise SchemaError(f"feature {behavior.length_name!r} should have another name, as "
                                  "servers give the number of positions of behaviour "
                                  f"{behavior.name!r} under it. Received: this name.")

    @property
    def categorical_features(self) -> tuple[CategoricalFeature, ...]:
        return tuple(f for f in self.features if isinstance(f, CategoricalFeature))

    @property
    def numeric_features(self) -> tuple[NumericFeature, ...]:
        return tuple(f for f in self.features if isinstance(f, NumericFeature))

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
        dtype = {v.name: v.dtype for v in self.vocabularies}
        found = [RecordFeature(name=f.name, dtype=dtype[f.vocabulary])
                 for f in self.categorical_features]
        found += [RecordFeature(name=f.name, dtype="float32") for f in self.numeric_features]
        found += [RecordFeature(name=f.name, dtype=dtype[f.vocabulary], is_list=True)
                  for f in self.sequence_features]
        labels = {t.label: t.dtype for t in self.tasks}
        # The label of one task may be the mask of another: a purchase is known after a click.
        labels |= {t.mask: "int64" for t in self.tasks if t.mask and t.mask not in labels}
        labels |= {self.sample_weight: "float32"} if self.sample_weight else {}
        found += [RecordFeature(name=name, dtype=d, role="label") for name, d in labels.items()]
        if self.group:
            found.append(
                RecordFeature(name=self.group.name, dtype=self.group.dtype, role="group"))
        return tuple(found)

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
