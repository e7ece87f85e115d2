"""Where prepare gets its tables from: KuaiRand, generic tables, the synthetic world."""

from __future__ import annotations

import os

from dtrn_tf.data.preparation.kuairand import load_kuairand
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.data.preparation.table_files import load_tables
from dtrn_tf.data.synthetic import load_world
from dtrn_tf.errors import DataError

_LOADERS = {"kuairand": load_kuairand, "tables": load_tables}


def open_source(
    spec: PrepareSpec, source_dir: str | None, *, seed: int, num_users: int | None = None
) -> Source:
    """Opens the source that the spec names; its rows are read later, part by part.

    Args:
        spec: Names the source.
        source_dir: Where its files lie; not for the synthetic world.
        seed: Of the synthetic world.
        num_users: Size of the synthetic world, if not the spec's.

    Raises:
        DataError: A file or column is missing, or an argument does not fit the source.
    """
    if spec.source == "synthetic":
        return load_world(spec, seed=seed, num_users=num_users).source()
    if num_users is not None:
        raise DataError(f"--num_users should be given for source 'synthetic' only. Received: "
                        f"{num_users} for source {spec.source!r}.")
    if not source_dir or not os.path.isdir(source_dir):
        raise DataError(f"--source_dir should be the directory with the tables of source "
                        f"{spec.source!r}. Received: {source_dir!r}.")
    return _LOADERS[spec.source](spec, source_dir)
