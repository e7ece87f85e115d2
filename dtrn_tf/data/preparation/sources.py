"""Where prepare gets its tables from: public logs, generic tables, the synthetic world."""

from __future__ import annotations

import os

from dtrn_tf.data.datasets.tfds_source import open_tfds
from dtrn_tf.data.preparation.deskdrop import load_deskdrop
from dtrn_tf.data.preparation.kuairand import load_kuairand
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.data.preparation.table_files import load_tables
from dtrn_tf.data.preparation.taobao import load_taobao
from dtrn_tf.data.synthetic import load_world
from dtrn_tf.errors import DataError

_LOADERS = {"deskdrop": load_deskdrop, "kuairand": load_kuairand, "tables": load_tables,
            "taobao": load_taobao}


def open_source(
    spec: PrepareSpec,
    source_dir: str | None,
    *,
    seed: int,
    num_users: int | None = None,
    tfds: str | None = None,
    tfds_data_dir: str | None = None,
) -> Source:
    """Opens the source that the spec names; its rows are read later, part by part.

    Args:
        spec: Names the source.
        source_dir: Where its files lie; not for the synthetic world.
        seed: Of the synthetic world.
        num_users: Size of the synthetic world, if not the spec's.
        tfds: Data sets of TFDS that hold the tables instead, `NAME` or `NAME:CONFIG`.
        tfds_data_dir: Where TFDS has prepared them, if not in its usual place.

    Raises:
        DataError: A file or column is missing, or an argument does not fit the source.
    """
    if tfds is not None:
        if source_dir is not None:
            raise DataError("--tfds should be given instead of --source_dir. Received: both, "
                            f"{tfds!r} and {source_dir!r}. Remove one of them.")
        return open_tfds(spec, tfds, tfds_data_dir)
    if spec.source == "synthetic":
        return load_world(spec, seed=seed, num_users=num_users).source()
    if num_users is not None:
        raise DataError(f"--num_users should be given for source 'synthetic' only. Received: "
                        f"{num_users} for source {spec.source!r}.")
    if not source_dir or not os.path.isdir(source_dir):
        raise DataError(f"--source_dir should be the directory with the tables of source "
                        f"{spec.source!r}. Received: {source_dir!r}.")
    return _LOADERS[spec.source](spec, source_dir)
