"""The inputs of the dense signatures: their types, and the rules that a call has to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from dtrn_tf.data.examples import Tensors
from dtrn_tf.data.preprocessing import padded_inputs, raw_from_dense
from dtrn_tf.schema import REQUEST_INDEX, Schema

Tensor = Any


class _Rule(NamedTuple):
    """What a call has to keep, whether it does, and the number that says so."""

    text: str
    kept: Tensor
    received: Tensor


def dense_inputs(schema: Schema) -> dict[str, tf.TensorSpec]:
    """Inputs of all signatures but `examples`: raw ids and numbers.

    A feature is [B], a field of N numbers [B, N]. A sequence feature, or one with many ids and
    their weights, is [B, L], L as long as the request likes, valid up to its length [B]; what
    stands behind it is ignored. All but `candidate_inputs` may have one row for all B candidates.
    """
    specs: dict[str, tuple[list[int | None], tf.DType]]
    specs = {f.name: ([None, None] if f.multiple else [None], _dtype(schema, f))
             for f in schema.categorical_features}
    specs |= {f.weights_name: ([None, None], tf.float32)
              for f in schema.multiple_features if f.weights}
    specs |= {f.name: ([None] if f.size == 1 else [None, f.size], tf.as_dtype(f.dtype))
              for f in schema.numeric_features}
    specs |= {f.name: ([None, None], _dtype(schema, f)) for f in schema.sequence_features}
    if schema.time:
        specs[schema.time.name] = ([None], tf.as_dtype(schema.time.dtype))
    specs |= {length_name: ([None], tf.int64) for length_name in padded_inputs(schema)}
    return {name: tf.TensorSpec(shape, dtype, name=name)
            for name, (shape, dtype) in specs.items()}


def candidate_inputs(schema: Schema) -> list[str]:
    """Of the dense inputs, those with a row for every candidate; all others are of the request."""
    names = {f.name for f in schema.features if f.level == "candidate"}
    names |= {name for f in schema.multiple_features if f.level == "candidate"
              for name in (f.length_name, f.weights_name)}
    return [name for name in dense_inputs(schema) if name in names]


def raw_from_inputs(inputs: Mapping[str, Tensor], schema: Schema) -> Tensors:
    """The raw form that `Preprocessing` takes, after a check of all shapes and lengths.

    Args:
        inputs: As `dense_inputs` says; those of the request have one row or as many as those of
            the candidates.
        schema: What a record holds.

    Returns:
        As `parse_examples` gives requests: `request_index` says that all candidates belong to the
        one request, or each to its own.

    Raises:
        tf.errors.InvalidArgumentError: An input does not fit the others; the error names it.
    """
    specs = dense_inputs(schema)
    # A signature does not enforce its shapes.
    inputs = {name: tf.ensure_shape(value, specs[name].shape, name=f"shape_of_{name}")
              for name, value in inputs.items()}
    of_candidates = candidate_inputs(schema)
    of_requests = [name for name in specs if name not in of_candidates]
    with tf.control_dependencies(_kept([*_row_rules(inputs, of_requests, of_candidates),
                                        *_list_rules(inputs, schema)])):
        inputs = {name: tf.identity(value) for name, value in inputs.items()}
    raw = raw_from_dense(inputs, schema)
    if of_requests and of_candidates:
        requests, candidates = (_rows(inputs[names[0]]) for names in (of_requests, of_candidates))
        raw[REQUEST_INDEX] = tf.range(candidates) % tf.maximum(requests, 1)
    return raw


def _row_rules(inputs: Mapping[str, Tensor], of_requests: list[str],
               of_candidates: list[str]) -> list[_Rule]:
    rules = []
    for first, *others in filter(None, (of_requests, of_candidates)):
        wanted = _rows(inputs[first])
        for name in others:
            rows = _rows(inputs[name])
            rules.append(_Rule(f"input {name} should have as many rows as {first}",
                               tf.equal(rows, wanted), rows))
    if of_requests and of_candidates:
        requests, candidates = of_requests[0], of_candidates[0]
        rows = _rows(inputs[requests])
        rules.insert(0, _Rule(
            f"input {requests}, of the request, should have one row or as many as {candidates}",
            tf.equal(rows, 1) | tf.equal(rows, _rows(inputs[candidates])), rows))
    return rules


def _list_rules(inputs: Mapping[str, Tensor], schema: Schema) -> list[_Rule]:
    rules = []
    for length_name, (first, *sides) in padded_inputs(schema).items():
        width = tf.shape(inputs[first])[1]
        for side in sides:
            received = tf.shape(inputs[side])[1]
            rules.append(_Rule(f"input {side} should be as wide as {first}",
                               tf.equal(received, width), received))
        text = f"input {length_name} should be between 0 and the width of {first}"
        least, most = (f(inputs[length_name]) for f in (tf.reduce_min, tf.reduce_max))
        rules += [_Rule(text, least >= 0, least),
                  _Rule(text, most <= tf.cast(width, most.dtype), most)]
    return rules


def _kept(rules: list[_Rule]) -> list[Any]:
    """One assertion for all rules, which names the first that is broken."""
    if not rules:
        return []
    kept = tf.stack([rule.kept for rule in rules])

    def broken() -> Tensor:
        first = tf.argmin(tf.cast(kept, tf.int32))
        received = tf.stack([tf.cast(rule.received, tf.int64) for rule in rules])
        text = tf.constant([f"{rule.text}. Received:" for rule in rules])
        tf.debugging.Assert(False, [text[first], tf.strings.as_string(received[first])])
        return tf.constant(False)

    return [tf.cond(tf.reduce_all(kept), lambda: tf.constant(True), broken)]


def _rows(value: Tensor) -> Tensor:
    return tf.shape(value)[0]


def _dtype(schema: Schema, feature: Any) -> tf.DType:
    return tf.as_dtype(schema.vocabulary(feature.vocabulary).dtype)
