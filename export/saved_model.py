"""Writes a Keras model as a SavedModel that needs neither Keras nor this package."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from dtrn_tf.errors import UserError

# Python functions are absent on a server; files and consoles are not a model's business.
FORBIDDEN_OPS = frozenset({
    "EagerPyFunc", "PyFunc", "PyFuncStateless",
    "MatchingFiles", "ReadFile", "WriteFile", "FixedLengthRecordReaderV2", "TFRecordReaderV2",
    "TextLineReaderV2", "WholeFileReaderV2", "FixedLengthRecordDatasetV2", "TFRecordDataset",
    "TFRecordDatasetV2", "TextLineDataset",
    "Print", "PrintV2",
})


class ServingModule(tf.Module):
    """Holds what the signatures use, so that saving finds it: variables and lookup tables.

    The Keras model itself must not be an attribute: saving would trace its layers anew, with
    inputs of a wrong type.

    Args:
        signatures: Concrete functions.
        preprocessing: Owns the lookup tables.
    """

    def __init__(self, signatures: Mapping[str, Any], preprocessing: tf.Module) -> None:
        super().__init__()
        by_id = {id(variable): variable for function in signatures.values()
                 for variable in function.variables}
        self.weights = list(by_id.values())
        self.preprocessing = preprocessing


def write_saved_model(
    path: str, signatures: Mapping[str, Any], preprocessing: tf.Module
) -> None:
    """Writes a SavedModel.

    Args:
        path: A directory that does not exist.
        signatures: Concrete functions by name, of a model with variables in TensorFlow.
        preprocessing: Owns the lookup tables of the signatures.

    Raises:
        UserError: An operation must not be in a served model.
    """
    # Nobody differentiates a served model.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(ServingModule(signatures, preprocessing), path, signatures=signatures,
                        options=options)
    forbidden = sorted(FORBIDDEN_OPS.intersection(operations(path)))
    if forbidden:
        raise UserError("the model should be made of operations that a server may run. Received: "
                        f"{forbidden}. Nothing was exported. Remedy: replace Python functions, "
                        "file access and printing in the model by TensorFlow operations.")


def operations(path: str) -> Iterator[str]:
    """The type of every operation in a SavedModel, those of its functions included."""
    saved_model = saved_model_pb2.SavedModel()
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        saved_model.ParseFromString(file.read())
    for meta_graph in saved_model.meta_graphs:
        yield from (node.op for node in meta_graph.graph_def.node)
        for function in meta_graph.graph_def.library.function:
            yield from (node.op for node in function.node_def)
