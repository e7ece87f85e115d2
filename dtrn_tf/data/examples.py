"""The one codec of prepare, train and serve: records to serialized tf.train.Example and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.errors import DataError, RecordError
from dtrn_tf.schema import REQUEST_INDEX, NumericFeature, RecordFeature, Schema, Task

Tensors = dict[str, Any]

_DTYPES = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
_LISTS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}
_REMEDY = "Correct the schema, or prepare the records again."


def encode_example(row: Mapping[str, Any], schema: Schema) -> bytes:
    """Serializes one row, an impression or a request, as tf.train.Example.

    Args:
        row: By their names in the records, every feature of `schema.record_features` (optional
            ones may be absent) and nothing else: one value, or a list unless `values` is `one`;
            a list may be empty. In a request a list of one value per candidate for each candidate
            feature, label, label mask and the sample weight.
        schema: What a record holds.

    Raises:
        DataError: A feature is absent, unknown to the schema, or of the wrong type; a vector has
            another length; lists that belong together differ in length; a request has no
            candidates.

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
    counts = {}
    for feature in schema.record_features:
        if feature.default is not None and feature.name not in row:
            counts[feature.name] = len(_default_values(feature)) // feature.size
            continue
        try:
            values = (row[feature.name],) if feature.values == "one" else row[feature.name]
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
        if feature.values != "one":
            counts[feature.name] = _count(feature, len(values), "a row")
    if len(features) != len(row):
        raise DataError(f"a row should hold {_names(schema)} and nothing else. "
                        f"Received too: {sorted(set(row) - set(_names(schema)))}.")
    _check_counts(counts, schema, "a row")
    # Deterministic, because equal rows should be equal bytes: maps have no order of their own.
    return example.SerializeToString(deterministic=True)


def feature_spec(schema: Schema, labels: bool = True, group: bool = False) -> dict[str, Any]:
    """What `tf.io.parse_example` should read, by name in the records; lists are ragged.

    Args:
        schema: What a record holds.
        labels: Whether to read labels, label masks and the sample weight.
        group: Whether to read the group key.
    """
    roles = {"input"} | ({"label"} if labels else set()) | ({"group"} if group else set())
    return {feature.name: _spec(feature) for feature in schema.record_features
            if feature.role in roles}


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
        Raw tensors: inputs and the group key under their `name` of the schema, labels, masks and
        the sample weight under that of the records. Ids, numbers and labels are [B], fields of N
        numbers [B, N], sequences RaggedTensors [B, (L)], lists of ids and their weights [B, (V)].
        Lists that belong together share their row partition. Of requests, what belongs to the
        request is [R], [R, N] or [R, (L)] and what belongs to the candidates is [B] or [B, N], all
        candidates one after the other; `request_index` int32 [B] says to which request each
        belongs.

    Raises:
        tf.errors.InvalidArgumentError: A record does not fit the schema; `reader.explain` says
            which and why.
    """
    parsed = tf.io.parse_example(serialized, feature_spec(schema, labels, group))
    for feature in schema.record_features:
        if feature.values == "candidate" and feature.size > 1 and feature.name in parsed:
            parsed[feature.name] = _vectors(parsed[feature.name], feature)
    for what, names in schema.aligned_features:
        parsed.update(_aligned({name: parsed[name] for name in names if name in parsed}, what))
    if schema.candidate_lists:
        parsed = _flat_candidates(parsed, schema)
    return _by_our_names(parsed, schema, group)


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
        RecordError: It is no tf.train.Example; a feature is absent without a default, of the wrong
            type or has the wrong number of values; sequences of one behaviour, ids and their
            weights, or lists of candidates, differ in length; a request has no candidates; a label
            of a binary task without a rule is neither 0 nor 1.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
    except Exception as error:  # protobuf's DecodeError, whose module differs by protobuf version
        raise RecordError(
            f"{where}: should be a serialized tf.train.Example. Received: {serialized[:20]!r}... "
            f"of {len(serialized)} bytes.", "not_example") from error
    values = {f.name: _checked_values(features, f, where) for f in schema.record_features}
    _check_counts({f.name: _count(f, len(values[f.name]), where) for f in schema.record_features},
                  schema, where)
    for task in schema.tasks:
        _check_labels(values, task, where)
    for weight in values[schema.sample_weight] if schema.sample_weight else ():
        if not 0.0 <= weight < float("inf"):
            raise RecordError(f"{where}: {_weight_text(schema)}. Received: {weight}. {_REMEDY}",
                              "bad_weight", str(schema.sample_weight))


def _names(schema: Schema) -> list[str]:
    return [feature.name for feature in schema.record_features]


def _bytes(values: Any) -> list[bytes]:
    if isinstance(values, (str, bytes)):  # These are sequences too, but of characters.
        raise TypeError("a single string")
    return [value.encode("utf-8") if isinstance(value, str) else value for value in values]


def _expected(feature: RecordFeature) -> str:
    kind = {"int64": "64-bit integer", "float32": "number", "string": "string"}[feature.dtype]
    if feature.values == "one":
        return f"one {kind}"
    size = f"{feature.size} " if feature.size > 1 else ""
    return f"a list of {size}{kind}s{' per candidate' if size and feature.is_list else ''}"


def _spec(feature: RecordFeature) -> Any:
    dtype = _DTYPES[feature.dtype]
    if feature.is_list:
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
    if feature.values == "one":
        return tf.io.FixedLenFeature([], dtype, feature.default)
    default = _default_values(feature) if feature.is_optional else None
    return tf.io.FixedLenFeature([feature.size], dtype, default)


def _check_counts(counts: Mapping[str, int], schema: Schema, where: str) -> None:
    for what, names in schema.aligned_features:
        lengths = {name: counts[name] for name in names}
        if len(set(lengths.values())) > 1:
            raise RecordError(f"{where}: {what} should be of equal length. Received lengths: "
                              f"{lengths}. {_REMEDY}", "wrong_count", names[0])
    for name in schema.candidate_lists[:1]:
        if not counts[name]:
            raise RecordError(f"{where}: {_no_candidates_text(name)}. Received: an empty list. "
                              f"{_REMEDY}", "wrong_count", name)


def _vectors(numbers: tf.RaggedTensor, feature: RecordFeature) -> tf.RaggedTensor:
    """The vectors of candidates, which a record holds one after the other. -> [R, (M), N]"""
    splits = numbers.row_splits
    text = f"feature {feature.name!r} should be {_expected(feature)}"
    with tf.control_dependencies(_require(
            splits[1:] % feature.size == 0, numbers.row_lengths(), text)):
        vectors = tf.reshape(numbers.values, [-1, feature.size])
    return tf.RaggedTensor.from_row_splits(vectors, splits // feature.size, validate=False)


def _by_our_names(parsed: Tensors, schema: Schema, group: bool) -> Tensors:
    """What was read by names of the records, as the model and the metrics call it."""
    raw = {f.name: parsed[f.source] for f in schema.id_features}
    raw.update((f.weights_name, parsed[f.weights]) for f in schema.multiple_features if f.weights)
    raw.update((f.name, _slice(parsed[f.source], f)) for f in schema.numeric_features)
    if schema.time:
        raw[schema.time.name] = parsed[schema.time.source]
    if group and schema.group:
        raw[schema.group.name] = parsed[schema.group.source]
    labels = [f.name for f in schema.record_features if f.role == "label"]
    raw.update((name, parsed[name]) for name in [*labels, REQUEST_INDEX] if name in parsed)
    return raw


def _slice(numbers: tf.Tensor, feature: NumericFeature) -> tf.Tensor:
    """The numbers of one field. [B] or [B, length] -> [B] or [B, size]"""
    if numbers.shape[1:] == [feature.size] or numbers.shape.rank == 1:
        return numbers
    if feature.size == 1:
        return numbers[:, feature.offset]
    return numbers[:, feature.offset:feature.end]


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
    kind = features[name].WhichOneof("kind") if name in features else None
    if kind is None and feature.default is not None:
        return _default_values(feature)
    if name not in features:
        raise RecordError(f"{where}: feature {name!r} should be present. Received: only "
                          f"{sorted(features)}. {_REMEDY}", "missing", name)
    if kind not in (_LISTS[feature.dtype], None):
        raise RecordError(f"{where}: feature {name!r} should be {_expected(feature)} "
                          f"({_LISTS[feature.dtype]}). Received: {kind}. {_REMEDY}", "wrong_type",
                          name)
    return getattr(features[name], _LISTS[feature.dtype]).value


def _default_values(feature: RecordFeature) -> Any:
    """What a record holds without the feature: an empty list, or one value in every place."""
    return feature.default if feature.is_list else [feature.default] * feature.size


def _count(feature: RecordFeature, length: int, where: str) -> int:
    """How many values, or vectors, of a feature there are."""
    if length % feature.size if feature.is_list else length != feature.size:
        raise RecordError(f"{where}: feature {feature.name!r} should be {_expected(feature)}. "
                          f"Received: {length} values. {_REMEDY}", "wrong_count", feature.name)
    return length // feature.size


def _check_labels(values: Mapping[str, Any], task: Task, where: str) -> None:
    codes = values[task.label]
    observed = values[task.mask] if task.mask is not None else [1] * len(codes)
    for code, is_observed in zip(codes, observed):
        valid = code in (0, 1) if _is_as_is(task) else float("-inf") < code < float("inf")
        if is_observed and not valid:
            raise RecordError(f"{where}: {_label_text(task)}. Received: {code}. {_REMEDY}",
                              "bad_label", task.label)
