from types import SimpleNamespace

import pytest
import tensorflow as tf

from dtrn_tf.training.cluster import Cluster
from dtrn_tf.training.interruption import Interrupted


def _cluster(job, index, **jobs):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type=job, task_id=index)
    return Cluster(SimpleNamespace(cluster_resolver=resolver))


@pytest.mark.parametrize("job, index, expected", [
    ("chief", 0, (0, 3, True)), ("worker", 0, (1, 3, False)), ("worker", 1, (2, 3, False))])
def test_the_chief_comes_before_the_workers(job, index, expected):
    cluster = _cluster(job, index, chief=["a:1"], worker=["b:1", "c:1"])
    assert (cluster.index, cluster.size, cluster.is_chief) == expected


def test_without_a_chief_worker_0_is_it():
    cluster = _cluster("worker", 0, worker=["b:1", "c:1"])
    assert (cluster.index, cluster.size, cluster.is_chief) == (0, 2, True)


def test_a_lost_process_is_an_interruption_and_other_errors_are_not():
    cluster = _cluster("worker", 0, worker=["b:1", "c:1"])
    with pytest.raises(Interrupted, match="another process of the cluster is gone; wait until"):
        with cluster.together():
            raise tf.errors.UnavailableError(None, None, "Socket closed")
    with pytest.raises(tf.errors.DataLossError):
        with cluster.together():
            raise tf.errors.DataLossError(None, None, "corrupted record")
    with pytest.raises(tf.errors.UnavailableError):
        with Cluster(tf.distribute.get_strategy()).together():
            raise tf.errors.UnavailableError(None, None, "a file system that is away")
