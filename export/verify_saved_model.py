"""Calls every signature of a SavedModel in a process that knows TensorFlow alone.

    python -I verify_saved_model.py SAVED_MODEL EXPECTED.npz TOLERANCE

A script, not a module of the package: importing the package, or Keras, is an error here, as it is
on a server. EXPECTED.npz holds tensors under BATCH/SIGNATURE/inputs/NAME and
BATCH/SIGNATURE/outputs/NAME, each a serialized TensorProto (NumPy files have no safe string type).
The last line of stdout is the largest |output - expected| / max(1, max |expected|) or, with exit
code 1, what went wrong: a difference above TOLERANCE, or a model that cannot be loaded or called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if __name__ == "__main__":
    # None makes an import fail, installed or not; TensorFlow itself goes without Keras.
    for _name in ("dtrn_tf", "pipelines", "export", "keras", "tf_keras"):
        sys.modules[_name] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.core.framework import tensor_pb2  # noqa: E402

Arrays = dict[str, np.ndarray]
Call = Callable[[str, Arrays], Mapping[str, np.ndarray]]


class Mismatch(Exception):
    """The SavedModel does not give what was expected."""


def main(arguments: Sequence[str]) -> int:
    saved_model, expected, tolerance = arguments
    try:
        print(verify(saved_model, expected, float(tolerance)))
    except Exception as error:  # Whatever it is, the model would fail on a server.
        print(" ".join(f"{type(error).__name__}: {error}".split())[:1000])
        return 1
    return 0


def verify(saved_model: str, expected: str, tolerance: float) -> float:
    """The largest difference over both loaders, all batches, signatures and outputs.

    Raises:
        Mismatch: It is too large, or names, shapes or types differ.
    """
    with np.load(expected) as file:
        batches = _as_tree({name: _tensor(file[name]) for name in file.files})
    largest = 0.0
    for loader, load in (("eager", _load_eager), ("session", _load_session)):
        names, call = load(saved_model)
        wanted = {name for signatures in batches.values() for name in signatures}
        if sorted(names) != sorted(wanted):
            raise Mismatch(f"signatures should be {sorted(wanted)}. Received: {sorted(names)}.")
        for batch, signatures in batches.items():
            for name, tensors in signatures.items():
                where = f"{loader} loader, {batch}, signature {name}"
                outputs = call(name, tensors.get("inputs", {}))
                largest = max(largest, _compare(outputs, tensors["outputs"], tolerance, where))
    return largest


def _load_eager(path: str) -> tuple[list[str], Call]:
    loaded = tf.saved_model.load(path)

    def call(name: str, inputs: Arrays) -> Mapping[str, np.ndarray]:
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in loaded.signatures[name](**tensors).items()}

    return list(loaded.signatures), call


def _load_session(path: str) -> tuple[list[str], Call]:
    """The loader of TensorFlow 1, and of C++ servers."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
    signatures = {name: signature for name, signature in meta_graph.signature_def.items()
                  if not name.startswith("__")}

    def call(name: str, inputs: Arrays) -> Mapping[str, np.ndarray]:
        signature = signatures[name]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
        return session.run(fetches, feeds)

    return list(signatures), call


def _compare(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray],
             tolerance: float, where: str) -> float:
    if sorted(outputs) != sorted(expected):
        raise Mismatch(f"{where}: outputs should be {sorted(expected)}. "
                       f"Received: {sorted(outputs)}.")
    largest = 0.0
    for name, right in expected.items():
        output = outputs[name]
        if (output.shape, output.dtype) != (right.shape, right.dtype):
            raise Mismatch(f"{where}: output {name} should be {right.dtype} {right.shape}. "
                           f"Received: {output.dtype} {output.shape}.")
        # Not by each value: a sum of many terms may be near 0 where its error is not.
        scale = np.max(np.abs(right), initial=1.0)
        difference = float(np.max(np.abs(output - right), initial=0.0) / scale)
        if not difference <= tolerance:  # True of NaN too.
            raise Mismatch(f"{where}: output {name} should be the model's within {tolerance}. "
                           f"Received: a difference of {difference}.")
        largest = max(largest, difference)
    return largest


def _as_tree(tensors: Arrays) -> dict[str, dict[str, dict[str, Arrays]]]:
    tree: dict[str, dict[str, dict[str, Arrays]]] = {}
    for path, tensor in tensors.items():
        batch, signature, side, name = path.split("/", maxsplit=3)
        tree.setdefault(batch, {}).setdefault(signature, {}).setdefault(side, {})[name] = tensor
    return tree


def _tensor(serialized: np.ndarray) -> np.ndarray:
    return tf.make_ndarray(tensor_pb2.TensorProto.FromString(serialized.tobytes()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
