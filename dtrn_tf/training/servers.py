"""Parameter servers: the strategy of the chief, and what the other processes do."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any

import tensorflow as tf

from dtrn_tf.errors import UserError
from dtrn_tf.layers.variables import is_making_table

_POLL_SECONDS = 0.5
# So long the chief may be unreachable before it counts as gone.
_GONE_SECONDS = 2.0
_CONNECT_SECONDS = 5.0
# With one thread, TensorFlow's choice on one core, workers that wait for servers wait for ever.
_LEAST_THREADS = 4


def check_servers(config: dict[str, Any]) -> None:
    """Refuses a TF_CONFIG that has no chief, workers and servers.

    Raises:
        UserError: It does not fit.
    """
    jobs, task = config.get("cluster", {}), config.get("task", {})
    if not (set(jobs) == {"chief", "worker", "ps"} and len(jobs["chief"]) == 1
            and jobs["worker"] and jobs["ps"] and isinstance(task.get("index"), int)
            and task["index"] in range(len(jobs.get(task.get("type", ""), [])))):
        raise UserError(
            'TF_CONFIG should be like {"cluster": {"chief": ["host0:2222"], "worker": '
            '["host1:2222"], "ps": ["host2:2222"]}, "task": {"type": "worker", "index": 0}} for '
            f"--strategy=parameter_server. Received: {config or 'no TF_CONFIG'}.")


def parameter_server_strategy(config: dict[str, Any], table_shards: int = 0) -> Any:
    """The chief's strategy; waits until all workers and servers are there.

    Tables, and nothing else, are split by rows over the servers.

    Args:
        config: What `check_servers` accepts, of the chief.
        table_shards: Parts of a table; 0: one for each server.
    """
    _spare_threads()
    jobs = config["cluster"]
    number = table_shards or len(jobs["ps"])
    print(f"chief at {jobs['chief'][0]}: waiting for {len(jobs['worker'])} workers and "
          f"{len(jobs['ps'])} servers; tables in {number} parts", file=sys.stderr, flush=True)

    def partitions(shape: Any, dtype: Any, axis: int = 0) -> list[int]:
        parts = min(number, shape[0]) if is_making_table() else 1
        return [parts] + [1] * (len(shape) - 1)

    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc")
    return tf.distribute.ParameterServerStrategy(resolver, variable_partitioner=partitions)


def num_workers() -> int:
    """How many workers TF_CONFIG names."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    return resolver.cluster_spec().num_tasks("worker")


def serve_until_chief_ends(config: dict[str, Any]) -> None:
    """What a worker and a parameter server do: compute and hold what the chief asks for."""
    _spare_threads()
    jobs, task = config["cluster"], config["task"]
    print(f"{task['type']} {task['index']} at {jobs[task['type']][task['index']]}: serves the chief"
          f" at {jobs['chief'][0]}", file=sys.stderr, flush=True)
    server = tf.distribute.Server(
        tf.train.ClusterSpec(jobs), job_name=task["type"], task_index=task["index"],
        protocol="grpc", start=True)
    host, _, port = jobs["chief"][0].rpartition(":")
    while not _reachable(host, int(port)):
        time.sleep(_POLL_SECONDS)
    seen = time.monotonic()
    while time.monotonic() - seen < _GONE_SECONDS:
        time.sleep(_POLL_SECONDS)
        if _reachable(host, int(port)):
            seen = time.monotonic()
    del server


def _spare_threads() -> None:
    """Lets operations go on beside those that wait; before TensorFlow computes anything."""
    # Not tf.config.threading: the pool of a cluster's server does not follow it.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(max(_LEAST_THREADS, os.cpu_count() or 1)))


def _reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
