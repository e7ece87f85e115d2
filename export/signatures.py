"""The signatures of an exported model: raw features in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.data.preprocessing import padded_inputs, raw_from_dense
from dtrn_tf.errors import SchemaError
from dtrn_tf.schema import Schema, Task

Tensor = Any
Model = Callable[..., Mapping[str, Tensor]]
Preprocess = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]

SERVING_DEFAULT = "serving_default"
EXAMPLES = "examples"
# The last one is where TensorFlow keeps the initialiser of the lookup tables.
_RESERVED = (SERVING_DEFAULT, EXAMPLES, "__saved_model_init_op")


def dense_inputs(schema: Schema) -> dict[str, tf.TensorSpec]:
    """Inputs of all signatures but `examples`: raw ids and numbers.

    A feature is [B], a field of N numbers [B, N]. A sequence feature, or one with many ids and
    their weights, is [B, L], L as long as the request likes, valid up to its length [B]; what
    stands behind it is ignored.
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


def signature_tasks(schema: Schema) -> dict[str, tuple[Task, ...]]:
    """The signatures by name and the tasks that each predicts.

    Raises:
        SchemaError: A task takes the name of a signature for all tasks.
    """
    taken = sorted(set(schema.task_names) & set(_RESERVED))
    if taken:
        raise SchemaError("tasks should not be named like the signatures for all tasks, "
                          f"{_RESERVED}. Received: {taken}. Remedy: rename the task.")
    one_task = {task.name: (task,) for task in schema.tasks}
    return {**one_task, SERVING_DEFAULT: schema.tasks, EXAMPLES: schema.tasks}


def build_signatures(
    model: Model, preprocessing: Preprocess, schema: Schema
) -> dict[str, Any]:
    """Traces every signature with the preprocessing of training in front of the model.

    Args:
        model: Maps preprocessed features to logits {task: [B]}.
        preprocessing: Maps raw features to what the model takes.
        schema: Of the records that the model was trained on.

    Returns:
        {signature: concrete function}; each gives {task: [B] float32}, the probability of a
        binary task or the value of a regression. Of a schema of requests, `examples` takes
        requests [R] and gives the values of all their candidates [B], one request after the
        other; the dense signatures take one row per candidate with either schema.
    """
    specs = dense_inputs(schema)

    def from_dense(tasks: Iterable[Task]) -> Callable[..., dict[str, Tensor]]:
        def serve(**inputs: Tensor) -> dict[str, Tensor]:
            # A signature does not enforce its shapes.
            inputs = {name: tf.ensure_shape(value, specs[name].shape)
                      for name, value in inputs.items()}
            inputs.update(_aligned(inputs, schema))
            return predictions(model, preprocessing, raw_from_dense(inputs, schema), tasks)
        return serve

    def from_examples(examples: Tensor) -> dict[str, Tensor]:
        examples = tf.ensure_shape(examples, [None])
        raw = parse_examples(examples, schema, labels=False)
        return predictions(model, preprocessing, raw, schema.tasks)

    signatures = {
        name: tf.function(from_dense(tasks)).get_concrete_function(**specs)
        for name, tasks in signature_tasks(schema).items() if name != EXAMPLES
    }
    spec = tf.TensorSpec([None], tf.string, name="examples")
    signatures[EXAMPLES] = tf.function(from_examples).get_concrete_function(spec)
    return signatures


def predictions(
    model: Model, preprocessing: Preprocess, raw: Mapping[str, Tensor], tasks: Iterable[Task]
) -> dict[str, Tensor]:
    """Probabilities (values of a regression) {task: [B]} of raw features."""
    logits = model(preprocessing(raw), training=False)
    return {task.name: _prediction(task, tf.cast(logits[task.name], tf.float32))
            for task in tasks}


def _aligned(inputs: Mapping[str, Tensor], schema: Schema) -> dict[str, Tensor]:
    """The padded inputs, after a check that those of one length are padded to one width."""
    checked = {}
    for first, *sides in padded_inputs(schema).values():
        checks = [
            tf.debugging.assert_equal(
                tf.shape(inputs[side]), tf.shape(inputs[first]), summarize=2,
                message=f"{side} should have the shape of {first}")
            for side in sides]
        with tf.control_dependencies(checks):
            checked.update({name: tf.identity(inputs[name]) for name in (first, *sides)})
    return checked


def _prediction(task: Task, logits: Tensor) -> Tensor:
    # The identity gives the output a node of its own, whatever the model returned.
    return tf.sigmoid(logits) if task.kind == "binary" else tf.identity(logits)


def _dtype(schema: Schema, feature: Any) -> tf.DType:
    return tf.as_dtype(schema.vocabulary(feature.vocabulary).dtype)
