"""Where prepare gets its tables from: KuaiRand, generic tables, the synthetic world."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dtrn_tf.data.preparation.kuairand import load_kuairand
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.synthetic import load_world
from dtrn_tf.data.preparation.tables import Tables, chunks_of_users, load_tables, merge_duplicates
from dtrn_tf.errors import DataError

_LOADERS = {"kuairand": load_kuairand, "tables": load_tables}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A log in chunks of users.

    Args:
        num_users: Users in all chunks.
        chunks: Each with all rows of its users.
    """

    num_users: int
    chunks: Iterator[Tables]


def open_source(
    spec: PrepareSpec,
    source_dir: str | None,
    *,
    seed: int,
    num_users: int | None = None,
    users_per_chunk: int = 4096,
) -> Source:
    """Opens the source that the spec names.

    Args:
        spec: Names the source.
        source_dir: Where its files lie; not for the synthetic world.
        seed: Of the order of users and of the synthetic world.
        num_users: Size of the synthetic world, if not the spec's.
        users_per_chunk: How many users are held in memory as records.

    Raises:
        DataError: A file or column is missing, or an argument does not fit the source.
    """
    if spec.source == "synthetic":
        world = load_world(spec, seed=seed, num_users=num_users)
        return Source(num_users=world.num_users, chunks=world.chunks(users_per_chunk))
    if num_users is not None:
        raise DataError(f"--num_users should be given for source 'synthetic' only. Received: "
                        f"{num_users} for source {spec.source!r}.")
    if not source_dir or not os.path.isdir(source_dir):
        raise DataError(f"--source_dir should be the directory with the tables of source "
                        f"{spec.source!r}. Received: {source_dir!r}.")
    tables = merge_duplicates(_LOADERS[spec.source](spec, source_dir), spec)
    return Source(num_users=tables.interactions[spec.columns.user].nunique(),
                  chunks=chunks_of_users(tables, spec.columns, users_per_chunk, seed))
