"""The batch at which training had to stop, kept for inspection."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dtrn_tf.errors import UserError
from dtrn_tf.files import write_json
from dtrn_tf.training.run_directory import RunDirectory
from dtrn_tf.training.steps_done import StepsDone

_PARTS = ("features", "labels", "weights")


def bad_step_error(run: RunDirectory, tasks: Sequence[str], done: StepsDone, step: int,
                   batches: Mapping[str, Any]) -> UserError:
    """Saves the batch of a step that is not sound and says what happened.

    Writes RUN/bad_batch/step-N.npz, which `load_bad_batch` reads, and step-N.json with the losses
    and the range of every input.

    Args:
        run: Where to write.
        tasks: Names of the tasks.
        done: What the steps came to; the last one was not sound.
        step: Its number, from 1.
        batches: The batch of every replica of this process, by what to add to the file's name.

    Returns:
        What to raise.
    """
    losses = dict(zip(tasks, map(float, done.last_losses.numpy())))
    os.makedirs(run.file("bad_batch"), exist_ok=True)
    paths = [run.file("bad_batch", f"step-{step}{name}.npz") for name in batches]
    for path, batch in zip(paths, batches.values()):
        arrays = _arrays(batch)
        _write_arrays(path, arrays)
        write_json(f"{path.removesuffix('.npz')}.json", {
            # As texts: JSON knows no NaN.
            "step": step, "losses": {task: str(loss) for task, loss in losses.items()},
            "inputs": {name: _range(values) for name, values in arrays.items()}})
    bad = [task for task, loss in losses.items() if not np.isfinite(loss)]
    what = (f"the loss of task {bad[0]!r} should be finite. Received: {losses[bad[0]]}" if bad else
            "the gradient of the loss should be finite. Received: NaN or infinity, with losses "
            f"{losses}")
    return UserError(
        f"{what} in step {step}, which changed no weight. Remedy: look for odd numbers in its "
        f"batch, {' and '.join(paths)} (.json: the range of every input), lower the learning "
        "rates, or set --clip_norm; then --overwrite.")


def load_bad_batch(path: str | os.PathLike[str]) -> tuple[dict[str, Any], ...]:
    """A batch that stopped a run: features, labels and weights, as the model and losses take them.

    Args:
        path: RUN/bad_batch/step-N.npz.
    """
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            part, name = key.split("/", 1)
            name, _, piece = name.partition(":")
            if piece != "row_splits":
                splits = f"{part}/{name}:row_splits"
                value = tf.constant(arrays[key])
                parts[part][name] = tf.RaggedTensor.from_row_splits(
                    value, arrays[splits]) if piece else value
    return tuple(parts[part] for part in _PARTS)


def _arrays(batch: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """PART/NAME of dense inputs, PART/NAME:values and PART/NAME:row_splits of ragged ones."""
    arrays = {}
    for part, values in zip(_PARTS, batch):
        for name, value in values.items():
            if isinstance(value, tf.RaggedTensor):
                arrays[f"{part}/{name}:values"] = value.flat_values.numpy()
                arrays[f"{part}/{name}:row_splits"] = value.row_splits.numpy()
            else:
                arrays[f"{part}/{name}"] = value.numpy()
    return arrays


def _write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)


def _range(values: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {"shape": list(values.shape), "dtype": str(values.dtype)}
    if values.size and values.dtype.kind in "if":
        found |= {"smallest": str(values.min()), "largest": str(values.max()),
                  "not finite": int(np.sum(~np.isfinite(values)))}
    return found
