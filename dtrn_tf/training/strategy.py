"""Which devices train: a tf.distribute strategy by name."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.errors import UserError

STRATEGY_NAMES = ("auto", "cpu", "mirrored")


def make_strategy(name: str) -> Any:
    """A strategy by name.

    `cpu`: one CPU. `mirrored`: every GPU, or without a GPU every logical CPU device, each with a
    copy of the weights. `auto`: `mirrored` with two or more GPUs, else the one device there is.

    Raises:
        UserError: Unknown name.

    >>> make_strategy("cpu").num_replicas_in_sync
    1
    """
    if name not in STRATEGY_NAMES:
        raise UserError(f"--strategy should be one of {STRATEGY_NAMES}. Received: {name!r}.")
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus and name == "auto" else "/cpu:0")
