"""Which devices and processes train: a tf.distribute strategy by name."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import tensorflow as tf

from dtrn_tf.errors import UserError
from dtrn_tf.training.servers import check_servers, parameter_server_strategy

STRATEGY_NAMES = ("auto", "cpu", "gpu", "mirrored", "multiworker", "parameter_server")


def make_strategy(name: str, table_shards: int = 0) -> Any:
    """A strategy by name; `multiworker` waits until all processes of TF_CONFIG are there.

    `cpu`: one CPU. `gpu`: one GPU. `mirrored`: every GPU, or without a GPU every logical CPU
    device, each with a copy of the weights. `multiworker`: the same over all processes of the
    cluster in TF_CONFIG; must be made before TensorFlow computes anything. `parameter_server`: the
    chief of such a cluster, with tables split over its servers. `auto`: one of these two where
    TF_CONFIG names several processes, else `mirrored` with two or more GPUs, else the one device
    there is.

    Args:
        name: One of `STRATEGY_NAMES`.
        table_shards: Of `parameter_server`, parts of a table; 0: one for each server.

    Raises:
        UserError: Unknown name, no such device, or TF_CONFIG does not fit.

    >>> make_strategy("cpu").num_replicas_in_sync
    1
    """
    if name not in STRATEGY_NAMES:
        raise UserError(f"--strategy should be one of {STRATEGY_NAMES}. Received: {name!r}.")
    config = _tf_config()
    jobs = config.get("cluster", {})
    if name == "auto" and _size(jobs) > 1:
        name = "parameter_server" if "ps" in jobs else "multiworker"
    if name == "parameter_server":
        check_servers(config)
        return parameter_server_strategy(config, table_shards)
    if name == "multiworker":
        return _multi_worker(config)
    if _size(jobs) > 1:
        raise UserError(f"--strategy should be multiworker or auto where TF_CONFIG names "
                        f"{_size(jobs)} processes: each alone would write the same run. "
                        f"Received: --strategy={name}. Remedy: unset TF_CONFIG to train in one.")
    return _one_process(name)


def has_servers(name: str) -> bool:
    """Whether a strategy of this name has parameter servers."""
    return name == "parameter_server" or (
        name == "auto" and "ps" in _tf_config().get("cluster", {}))


def served_config(name: str) -> dict[str, Any] | None:
    """TF_CONFIG, if this process is to serve the chief of a parameter server cluster."""
    config = _tf_config()
    if not has_servers(name):
        return None
    check_servers(config)
    return config if config["task"]["type"] != "chief" else None


def _one_process(name: str) -> Any:
    gpus = tf.config.list_logical_devices("GPU")
    if name == "gpu" and not gpus:
        raise UserError("--strategy=gpu should have a GPU that TensorFlow can use. Received: none. "
                        "Remedy: install the package with [gpu], or take --strategy=cpu.")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus and name != "cpu" else "/cpu:0")


def _multi_worker(config: dict[str, Any]) -> Any:
    jobs, task = config.get("cluster", {}), config.get("task", {})
    if not _fits(jobs, task):
        raise UserError(
            'TF_CONFIG should be like {"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}} for --strategy=multiworker, with at most one '
            f"`chief` besides. Received: {config or 'no TF_CONFIG'}.")
    address = jobs[task["type"]][task["index"]]
    print(f"{task['type']} {task['index']} at {address}: waiting for all {_size(jobs)} processes",
          file=sys.stderr, flush=True)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise UserError(f"all {_size(jobs)} processes of TF_CONFIG should meet, each at its own "
                        f"free address. Received, at {address}: {error}. Remedy: start all of "
                        "them, with the same `cluster`.") from error


def _fits(jobs: dict[str, list[str]], task: dict[str, Any]) -> bool:
    return (bool(jobs) and set(jobs) <= {"chief", "worker"} and len(jobs.get("chief", [])) <= 1
            and isinstance(task.get("index"), int)
            and task["index"] in range(len(jobs.get(task.get("type", ""), []))))


def _tf_config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG", "") or "{}"
    try:
        config = json.loads(text)
        {**config, **config.get("cluster", {}), **config.get("task", {})}
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError("TF_CONFIG should be a JSON object with `cluster` and `task`. "
                        f"Received: {text!r}.") from error
    return config


def _size(jobs: dict[str, list[str]]) -> int:
    return sum(map(len, jobs.values()))
