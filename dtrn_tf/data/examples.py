"""The one codec of prepare, train and serve: records to serialized tf.train.Example and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.errors import DataError, RecordError
from dtrn_tf.schema import REQUEST_INDEX, RecordFeature, Schema, Task

Tensors = dict[str, Any]

_DTYPES = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
_LISTS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}
_REMEDY = "Correct the schema, or prepare the records again."


def encode_example(row: Mapping[str, Any], schema: Schema) -> bytes:
    """Serializes one row, an impression or a request, as tf.train.Example.

    Args:
        row: One value for every feature of `schema.record_features` and for nothing else; a list
            (it may be empty) for each sequence feature; in a request a list of one value per
            candidate for each candidate feature, label, label mask and the sample weight.
        schema: What a record holds.

    Raises:
        DataError: A feature is absent, unknown to the schema, or of the wrong type; lists that
            belong together differ in length; a request has no candidates.

    >>> from dtrn_tf import schema as s
    >>> schema = s.Schema(
    ...     vocabularies=(s.Vocabulary(name="tab", kind="identity", size=15),),
    ...     features=(s.CategoricalFeature(name="tab", vocabulary="tab", level="request"),),
    ...     tasks=(s.Task(name="click", label="code", at_least=1),))
    >>> record = encode_example({"tab": 7, "code": 4}, schema)
    >>> raw = parse_examples(tf.constant([record]), schema)
    >>> raw["tab"].numpy().tolist()
    [7]
    >>> labels, weights = labels_and_weights(raw, schema)
    >>> labels["click"].numpy().tolist(), weights["click"].numpy().tolist()
    ([1.0], [1.0])
    """
    example = tf.train.Example()
    features = example.features.feature
    for feature in schema.record_features:
        try:
            values = row[feature.name] if feature.is_list else (row[feature.name],)
            if feature.dtype == "string":
                values = _bytes(values)
            target = getattr(features[feature.name], _LISTS[feature.dtype])
            # An empty list is written too, so that a reader can tell it from an absent feature.
            target.SetInParent()
            target.value.extend(values)
        except KeyError:
            raise DataError(f"a row should hold {_names(schema)}. "
                            f"Missing: {feature.name!r}.") from None
        except (TypeError, ValueError) as error:
            raise DataError(f"feature {feature.name!r} of a row should be {_expected(feature)}. "
                            f"Received: {row[feature.name]!r:.100} ({error}).") from error
    if len(row) != len(schema.record_features):
        raise DataError(f"a row should hold {_names(schema)} and nothing else. "
                        f"Received too: {sorted(set(row) - set(_names(schema)))}.")
    _check_lengths(row, schema, "a row")
    # Deterministic, because equal rows should be equal bytes: maps have no order of their own.
    return example.SerializeToString(deterministic=True)


def feature_spec(schema: Schema, labels: bool = True, group: bool = False) -> dict[str, Any]:
    """What `tf.io.parse_example` should read: one value a record, or ragged for lists.

    Args:
        schema: What a record holds.
        labels: Whether to read labels, label masks and the sample weight.
        group: Whether to read the group key.
    """
    roles = {"input"} | ({"label"} if labels else set()) | ({"group"} if group else set())
    return {
        feature.name: tf.io.RaggedFeature(_DTYPES[feature.dtype], row_splits_dtype=tf.int64)
        if feature.is_list else tf.io.FixedLenFeature([], _DTYPES[feature.dtype])
        for feature in schema.record_features if feature.role in roles
    }


def parse_examples(
    serialized: tf.Tensor, schema: Schema, labels: bool = True, group: bool = False
) -> Tensors:
    """Parses a batch of records at once.

    Args:
        serialized: Strings [B], each a tf.train.Example.
        schema: What a record holds.
        labels: Whether to read labels, label masks and the sample weight.
        group: Whether to read the group key.

    Returns:
        Raw tensors by feature: ids, numbers and labels [B], sequences as RaggedTensor [B, (L)].
        The sequences of one behaviour share their row partition. Of requests, what belongs to the
        request is [R] or [R, (L)] and what belongs to the candidates is [B], all candidates one
        after the other; `request_index` int32 [B] says to which request each belongs.

    Raises:
        tf.errors.InvalidArgumentError: A record does not fit the schema; `reader.explain` says
            which and why.
    """
    raw = tf.io.parse_example(serialized, feature_spec(schema, labels, group))
    for what, names in _lists_of_equal_length(schema):
        raw.update(_aligned({name: raw[name] for name in names if name in raw}, what))
    return _flat_candidates(raw, schema) if schema.candidate_lists else raw


def labels_and_weights(raw: Mapping[str, Any], schema: Schema) -> tuple[Tensors, Tensors]:
    """Applies the label rules, label masks and the sample weight.

    Args:
        raw: The result of `parse_examples` with labels.
        schema: What a record holds.

    Returns:
        Labels and weights, each {task: float32 [B]}. The weight is label mask times sample weight,
        without the loss weight of the task; where the mask is 0 the label is 0 too, so that
        whatever stands there cannot reach a loss (NaN times 0 is NaN).

    Raises:
        tf.errors.InvalidArgumentError: A label is not 0 or 1, or not finite, on an unmasked row.
    """
    labels, weights = {}, {}
    sample_weight = _sample_weight(raw, schema)
    for task in schema.tasks:
        observed = tf.ones_like(raw[task.label], tf.bool)  # [B]
        if task.mask is not None:
            observed = tf.not_equal(raw[task.mask], 0)
        labels[task.name] = tf.where(observed, _label(raw, task, observed), 0.0)
        weight = tf.cast(observed, tf.float32)
        weights[task.name] = weight if sample_weight is None else weight * sample_weight
    return labels, weights


def check_examples(serialized: bytes, schema: Schema, where: str) -> None:
    """Checks one record against the schema in plain Python, to explain what is wrong with it.

    Args:
        serialized: One record.
        schema: What it should hold.
        where: File and record, the beginning of the message.

    Raises:
        DataError: It is no tf.train.Example; a feature is absent, of the wrong type or has the
            wrong number of values; sequences of one behaviour, or lists of candidates, differ in
            length; a request has no candidates; a label of a binary task without a rule is
            neither 0 nor 1.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception as error:  # protobuf's DecodeError, whose module differs by protobuf version
        raise RecordError(
            f"{where}: should be a serialized tf.train.Example. Received: {serialized[:20]!r}... "
            f"of {len(serialized)} bytes.", "not_example") from error
    values = {f.name: _checked_values(features, f, where) for f in schema.record_features}
    _check_lengths(values, schema, where)
    for task in schema.tasks:
        _check_labels(values, task, where)
    for weight in values[schema.sample_weight] if schema.sample_weight else ():
        if not 0.0 <= weight < float("inf"):
            raise RecordError(f"{where}: {_weight_text(schema)}. Received: {weight}. {_REMEDY}",
                              "bad_weight")


def _names(schema: Schema) -> list[str]:
    return [feature.name for feature in schema.record_features]


def _bytes(values: Any) -> list[bytes]:
    if isinstance(values, (str, bytes)):  # These are sequences too, but of characters.
        raise TypeError("a single string")
    return [value.encode("utf-8") if isinstance(value, str) else value for value in values]


def _expected(feature: RecordFeature) -> str:
    kind = {"int64": "64-bit integer", "float32": "number", "string": "string"}[feature.dtype]
    return f"a list of {kind}s" if feature.is_list else f"one {kind}"


def _lists_of_equal_length(schema: Schema) -> Iterator[tuple[str, list[str]]]:
    """Which lists of a record belong together, and what they are."""
    for behavior in schema.behaviors:
        yield f"the sequences of behaviour {behavior.name!r}", [f.name for f in behavior.features]
    if schema.candidate_lists:
        yield "the lists of candidates", list(schema.candidate_lists)


def _check_lengths(values: Mapping[str, Any], schema: Schema, where: str) -> None:
    for what, names in _lists_of_equal_length(schema):
        lengths = {name: len(values[name]) for name in names}
        if len(set(lengths.values())) > 1:
            raise RecordError(f"{where}: {what} should be of equal length. Received lengths: "
                              f"{lengths}. {_REMEDY}", "wrong_count")
    for name in schema.candidate_lists[:1]:
        if not len(values[name]):
            raise RecordError(f"{where}: {_no_candidates_text(name)}. Received: an empty list. "
                              f"{_REMEDY}", "wrong_count")


def _aligned(lists: Tensors, what: str) -> Tensors:
    """The same lists with one row partition, after a check that they are of equal length."""
    names = list(lists)
    if len(names) == 1:
        return lists
    first = lists[names[0]]
    equal = tf.stack([tf.reduce_all(tf.equal(lists[name].row_splits, first.row_splits))
                      for name in names])
    text = f"{what} should be as long as {names[0]!r} in every record"
    with tf.control_dependencies(_require(equal, tf.constant(names), text)):
        return {name: first.with_values(tf.identity(lists[name].values)) for name in names}


def _flat_candidates(raw: Tensors, schema: Schema) -> Tensors:
    """Lists of candidates [R, (M)] as rows [B], and the request of every row."""
    lists = {name: raw[name] for name in schema.candidate_lists if name in raw}
    name, first = next(iter(lists.items()))
    lengths = first.row_lengths()
    with tf.control_dependencies(_require(lengths > 0, lengths, _no_candidates_text(name))):
        index = tf.cast(first.value_rowids(), tf.int32)
    return {**raw, **{name: values.values for name, values in lists.items()}, REQUEST_INDEX: index}


def _no_candidates_text(name: str) -> str:
    return f"the lists of candidates, such as {name!r}, should hold at least one value"


def _sample_weight(raw: Mapping[str, Any], schema: Schema) -> tf.Tensor | None:
    if schema.sample_weight is None:
        return None
    weight = raw[schema.sample_weight]  # [B]
    valid = tf.math.is_finite(weight) & (weight >= 0.0)
    with tf.control_dependencies(_require(valid, weight, _weight_text(schema))):
        return tf.identity(weight)


def _label(raw: Mapping[str, Any], task: Task, observed: tf.Tensor) -> tf.Tensor:
    code = raw[task.label]  # [B]
    valid = tf.math.is_finite(tf.cast(code, tf.float32))
    if _is_as_is(task):
        valid = tf.equal(code, 0) | tf.equal(code, 1)
    with tf.control_dependencies(_require(valid | ~observed, code, _label_text(task))):
        code = tf.identity(code)
    if task.dtype == "int64":
        # A rule may have decimals. float32 codes stay so: 0.7 in a record is no 0.7 in float64.
        code = tf.cast(code, tf.float64)
    if task.at_least is not None:
        code = code >= task.at_least
    elif task.one_of is not None:
        codes = tf.constant(task.one_of, code.dtype)
        code = tf.reduce_any(code[:, tf.newaxis] == codes, axis=-1)
    return tf.cast(code, tf.float32)


def _require(valid: tf.Tensor, values: tf.Tensor, text: str) -> list[Any]:
    """An assertion that shows the first offending value."""
    offending = tf.strings.as_string(tf.boolean_mask(values, ~valid)[:1])
    assertion = tf.debugging.Assert(tf.reduce_all(valid), [f"{text}. Received:", offending])
    return [] if assertion is None else [assertion]  # Eagerly there is no operation to wait for.


def _is_as_is(task: Task) -> bool:
    return task.kind == "binary" and task.at_least is None and task.one_of is None


def _label_text(task: Task) -> str:
    allowed = ("0 or 1 (or the task should have a rule, `at_least` or `one_of`)"
               if _is_as_is(task) else "a finite number")
    return f"label feature {task.label!r} of task {task.name!r} should be {allowed}"


def _weight_text(schema: Schema) -> str:
    return f"sample weight {schema.sample_weight!r} should be a finite number >= 0"


def _checked_values(features: Any, feature: RecordFeature, where: str) -> Any:
    name = feature.name
    if name not in features:
        raise RecordError(f"{where}: feature {name!r} should be present. Received: only "
                          f"{sorted(features)}. {_REMEDY}", "missing")
    kind = features[name].WhichOneof("kind")
    if kind not in (_LISTS[feature.dtype], None):
        raise RecordError(f"{where}: feature {name!r} should be {_expected(feature)} "
                          f"({_LISTS[feature.dtype]}). Received: {kind}. {_REMEDY}", "wrong_type")
    values = getattr(features[name], _LISTS[feature.dtype]).value
    if not feature.is_list and len(values) != 1:
        raise RecordError(f"{where}: feature {name!r} should be {_expected(feature)}. "
                          f"Received: {len(values)} values. {_REMEDY}", "wrong_count")
    return values


def _check_labels(values: Mapping[str, Any], task: Task, where: str) -> None:
    codes = values[task.label]
    observed = values[task.mask] if task.mask is not None else [1] * len(codes)
    for code, is_observed in zip(codes, observed):
        valid = code in (0, 1) if _is_as_is(task) else float("-inf") < code < float("inf")
        if is_observed and not valid:
            raise RecordError(f"{where}: {_label_text(task)}. Received: {code}. {_REMEDY}",
                              "bad_label")
