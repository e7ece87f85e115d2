"""What optimisers remember of weights, carried from one run to another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dtrn_tf.layers.variables import table_variable
from dtrn_tf.models.labeled_weights import LabeledWeight
from dtrn_tf.optimizers import PairedOptimizer
from dtrn_tf.training.carry import Axes, carry


def carry_slots(optimizer: PairedOptimizer, source: PairedOptimizer,
                pairs: Mapping[str, tuple[LabeledWeight, LabeledWeight]]) -> list[str]:
    """Carries slots over by the same names as the weights; new places start at zero.

    Both count their updates on, as what they correct for the first steps is no longer needed.

    Args:
        optimizer: Takes them; of the same kinds as `source`.
        source: Has them.
        pairs: Weight here and weight there.

    Returns:
        The names of the weights whose slots begin anew, although their values were carried over:
        they were frozen there.
    """
    slots, source_slots = slots_of(optimizer), slots_of(source)
    missing = []
    for name, (here, there) in pairs.items():
        new = slots.get(id(table_variable(here.weight)), [])
        old = source_slots.get(id(table_variable(there.weight)), [])
        if new and not old:
            missing.append(name)
        for slot, old_slot in zip(new, old):
            slot.assign(_carry(np.array(slot), np.array(old_slot), here, there))
    rows, old_rows = optimizer.embedding, source.embedding
    rows.steps_before.assign(old_rows.steps + old_rows.steps_before)
    optimizer.dense.iterations.assign(source.dense.iterations)
    return missing


def slots_of(optimizer: PairedOptimizer) -> dict[int, list[tf.Variable]]:
    """The slots of every variable."""
    count = len(optimizer.embedding.slots)
    tables, weights = optimizer.targets[:count], optimizer.targets[count:]
    found = {id(table): [slot] for table, slot in zip(tables, optimizer.embedding.slots)}
    dense = [variable for variable in optimizer.dense.variables
             if variable.path.rpartition("/")[2] not in ("iteration", "learning_rate")]
    each = len(dense) // max(1, len(weights))  # Keras has those of a weight next to each other
    for number, weight in enumerate(weights):
        found[id(weight)] = dense[each * number:each * (number + 1)]
    return found


def _carry(slot: np.ndarray, old: np.ndarray, here: LabeledWeight,
           there: LabeledWeight) -> np.ndarray:
    """A slot of a weight; that of a row may hold several numbers for each of the row's."""
    shape, old_shape = here.weight.shape, there.weight.shape
    parts = [1, 1]
    axes: Axes = here.axes
    old_axes: Axes = there.axes
    if slot.shape != tuple(shape):
        if slot.shape[1] % shape[1] or old.shape[1] % old_shape[1]:
            axes, old_axes = [axes[0], None], [old_axes[0], None]  # one number for the whole row
        else:
            parts = [slot.shape[1] // shape[1], old.shape[1] // old_shape[1]]
    return np.concatenate([
        carry(np.zeros_like(new), before, axes, old_axes) for new, before in zip(
            np.split(slot, parts[0], axis=-1), np.split(old, parts[1], axis=-1))], axis=-1)
