"""Models as a server has them: exported, loaded into a session, called through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.cases import plain_loop, task_interest
from benchmarks.plain_mmoe import plain_mmoe
from benchmarks.reference_point import ReferencePoint, make_batch, make_model, make_schema
from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.models import DTRN
from dtrn_tf.schema import NUM_RESERVED_IDS, REQUEST_INDEX, NumericFeature, Schema
from export.dense_inputs import dense_inputs
from export.saved_model import write_saved_model
from export.signatures import build_signatures

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Served:
    """A SavedModel in a session of its own, the loader of TensorFlow Serving."""

    path: str

    def signature(self, name: str) -> Callable[[Arrays], list[np.ndarray]]:
        """What calls a signature: inputs by name -> outputs in the order of their names."""
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], self.path)
        signature = loaded.signature_def[name]
        names = sorted(signature.inputs)
        call = session.make_callable(
            [signature.outputs[key].name for key in sorted(signature.outputs)],
            [signature.inputs[key].name for key in names])
        return lambda inputs: call(*(inputs[key] for key in names))


def serve_dtrn(point: ReferencePoint, directory: str, behaviors: bool = True) -> Served:
    """DTRN as `python -m export` writes it; without behaviours, all that candidates cost."""
    schema = request_schema(point, behaviors)
    moments = {f.name: Moments(0.0, 1.0) for f in schema.numeric_features}
    save_statistics(Statistics(numeric=moments), os.path.join(directory, "statistics.json"))
    preprocessing = Preprocessing(schema, directory)
    model = make_model(point, task_interest(point))
    if not behaviors:
        model = DTRN.from_config(
            {**model.get_config(), "schema": schema.to_dict(), "interest": None})
    model.build()
    return _served(build_signatures(model, preprocessing, schema), preprocessing,
                   os.path.join(directory, "dtrn" if behaviors else "head"))


def serve_plain(point: ReferencePoint, directory: str, name: str) -> Served:
    """A model that knows rows only: `mmoe` (Keras layers) or `loop` (DTRN by its definition)."""
    schema = make_schema(point)
    model: Any = plain_mmoe(point) if name == "mmoe" else make_model(point, plain_loop(point))
    if name == "loop":
        model.build()
    dtypes = {f.name: tf.float32 if isinstance(f, NumericFeature) else tf.int32
              for f in schema.features}
    specs = {name: tf.TensorSpec([None], dtype, name) for name, dtype in dtypes.items()}
    specs |= {f.name: tf.TensorSpec([None, None], tf.int32, f.name)
              for f in schema.sequence_features}

    def serve(**inputs: Any) -> dict[str, Any]:
        logits = model(inputs, training=False)
        return {task: tf.sigmoid(tf.reshape(value, [-1])) for task, value in logits.items()}

    signatures = {"serving_default": tf.function(serve).get_concrete_function(**specs)}
    return _served(signatures, tf.Module(), os.path.join(directory, name))


def request_schema(point: ReferencePoint, behaviors: bool = True) -> Schema:
    """The schema of a point, of records that are requests."""
    schema = replace(make_schema(point), layout="request")
    return schema if behaviors else replace(schema, behaviors=())


def make_requests(point: ReferencePoint, candidates: int, count: int) -> list[dict[str, Arrays]]:
    """Users with a number of candidates each, as every kind of signature takes them.

    Returns:
        Of each request `once` (dense inputs, the user's one row), `head` (those without
        sequences), `repeated` (table rows, the user in every row, padded) and `examples`.

    >>> point = ReferencePoint(num_items=50, num_behaviors=1)
    >>> request = make_requests(point, candidates=3, count=1)[0]
    >>> [request[form]["city"].shape for form in ("once", "repeated")]
    [(1,), (3,)]
    """
    point = replace(point, batch_size=candidates)
    return [_request(point, make_batch(point, seed, candidates=max(candidates, 2))[0])
            for seed in range(count)]


def _request(point: ReferencePoint, rows: Mapping[str, Any]) -> dict[str, Arrays]:
    schema = request_schema(point)
    single = {f.name for f in schema.record_features if f.values == "one"}
    once, repeated, record = {}, {}, {}
    for name, value in rows.items():
        if name == REQUEST_INDEX:
            continue
        values = whole = getattr(value, "to_tensor", lambda v=value: v)().numpy()
        if isinstance(value, tf.RaggedTensor):
            whole = value.to_tensor(shape=[None, point.max_length]).numpy()
        repeated[name] = np.repeat(whole, point.batch_size // len(whole), axis=0)
        once[name] = values
        if values.dtype == np.int32:  # The rows of tables, of which two are not ids.
            once[name] = values.astype(np.int64) - NUM_RESERVED_IDS
        record[name] = once[name].item() if name in single else once[name].reshape(-1).tolist()
    for behavior in schema.behaviors:
        once[behavior.length_name] = np.array([once[behavior.features[0].name].shape[1]])
    labels = dict.fromkeys((task.label for task in schema.tasks), [0] * point.batch_size)
    examples = np.array([encode_example({**record, **labels}, schema)], object)
    head = {name: once[name] for name in dense_inputs(request_schema(point, behaviors=False))}
    return {"once": once, "head": head, "repeated": repeated, "examples": {"examples": examples}}


def _served(signatures: Mapping[str, Any], preprocessing: tf.Module, path: str) -> Served:
    write_saved_model(path, signatures, preprocessing)
    return Served(path)
