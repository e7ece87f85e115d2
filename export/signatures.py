"""The signatures of an exported model: raw features in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.errors import SchemaError
from dtrn_tf.schema import Schema, Task
from export.dense_inputs import dense_inputs, raw_from_inputs
from export.folding import fold

Tensor = Any
Model = Callable[..., Mapping[str, Tensor]]
Preprocess = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
Outputs = dict[str, Tensor]

SERVING_DEFAULT = "serving_default"
EXAMPLES = "examples"
BOTTOM = "bottom"
# The last one is where TensorFlow keeps the initialiser of the lookup tables.
_RESERVED = (SERVING_DEFAULT, EXAMPLES, BOTTOM, "__saved_model_init_op")


def signature_tasks(schema: Schema) -> dict[str, tuple[Task, ...]]:
    """The signatures that predict, by name, and the tasks of each.

    Raises:
        SchemaError: A task takes the name of another signature.
    """
    taken = sorted(set(schema.task_names) & set(_RESERVED))
    if taken:
        raise SchemaError("tasks should not be named like the other signatures, "
                          f"{_RESERVED}. Received: {taken}. Remedy: rename the task.")
    one_task = {task.name: (task,) for task in schema.tasks}
    return {**one_task, SERVING_DEFAULT: schema.tasks, EXAMPLES: schema.tasks}


def signature_functions(
    model: Model, preprocessing: Preprocess, schema: Schema
) -> dict[str, Callable[[Mapping[str, Tensor]], Outputs]]:
    """What every signature makes of raw features, by name.

    Args:
        model: Maps preprocessed features to logits {task: [B]} of the `tasks` that are asked for.
            If it has `representations`, they are the outputs of the signature `bottom`.
        preprocessing: Maps raw features to what the model takes.
        schema: Of the records that the model was trained on.

    Returns:
        {signature: function}; each gives {task: [B] float32}, the probability of a binary task or
        the value of a regression.
    """
    def predict(tasks: tuple[Task, ...]) -> Callable[[Mapping[str, Tensor]], Outputs]:
        def call(raw: Mapping[str, Tensor]) -> Outputs:
            names = [task.name for task in tasks]
            logits = model(preprocessing(raw), training=False, tasks=names)
            return {task.name: _prediction(task, tf.cast(logits[task.name], tf.float32))
                    for task in tasks}
        return call

    functions = {name: predict(tasks) for name, tasks in signature_tasks(schema).items()}
    if hasattr(model, "representations"):
        functions[BOTTOM] = lambda raw: {
            name: tf.cast(value, tf.float32)
            for name, value in model.representations(preprocessing(raw)).items()}
    return functions


def build_signatures(model: Model, preprocessing: Preprocess, schema: Schema) -> dict[str, Any]:
    """Traces every signature with the preprocessing of training in front of the model.

    Args:
        model: As `signature_functions`.
        preprocessing: As `signature_functions`.
        schema: Of the records that the model was trained on.

    Returns:
        {signature: concrete function}. `examples` takes serialized Examples; of a schema of
        requests [R], and gives the values of all their candidates [B], one request after the
        other. The others take `dense_inputs`, with either schema: one row per candidate, or those
        of the request once.
    """
    def from_dense(function: Callable[..., Outputs]) -> Callable[..., Outputs]:
        def serve(**inputs: Tensor) -> Outputs:
            return function(raw_from_inputs(inputs, schema))
        return serve

    interest = getattr(model, "interest", None)
    if interest is not None:  # One request has nothing to group.
        interest.groups_sequences = False
    functions = signature_functions(model, preprocessing, schema)
    of_examples = functions.pop(EXAMPLES)

    def from_examples(*, examples: Tensor) -> Outputs:
        examples = tf.ensure_shape(examples, [None])
        return of_examples(parse_examples(examples, schema, labels=False))

    specs = dense_inputs(schema)
    signatures = {name: tf.function(from_dense(function)).get_concrete_function(**specs)
                  for name, function in functions.items()}
    signatures[EXAMPLES] = tf.function(from_examples).get_concrete_function(
        examples=tf.TensorSpec([None], tf.string, name="examples"))
    return {name: fold(signature) for name, signature in signatures.items()}


def _prediction(task: Task, logits: Tensor) -> Tensor:
    # The identity gives the output a node of its own, whatever the model returned.
    return tf.sigmoid(logits) if task.kind == "binary" else tf.identity(logits)
