"""A log as streams of table parts, which need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from dtrn_tf.data.preparation.tables import Tables

# A part of a table that can be read on its own and on another machine: a picklable callable that
# yields frames of some rows, at least one (it may have no rows), so that the types are known.
Part = Callable[[], Iterator[pd.DataFrame]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A log whose tables are read part by part; rows may come in any order.

    Args:
        interactions: Parts of the table with one row per impression.
        users: Parts of the table with one row per user; none if there is no such table.
        items: Parts of the table with one row per item, which is held in memory as a whole.
        prehistory: Parts of the table of what users did before the log.
        num_rows: About how many interactions there are.
        distinct: Whether every row is an event of its own; if not, rows of the same user, item and
            time are merged.

    >>> log = pd.DataFrame({"user_id": [1, 1, 2]})
    >>> source = source_of(Tables(interactions=log))
    >>> source.num_rows, len(source.read().interactions), source.read().users
    (3, 3, None)
    """

    interactions: tuple[Part, ...]
    users: tuple[Part, ...] = ()
    items: tuple[Part, ...] = ()
    prehistory: tuple[Part, ...] = ()
    num_rows: int
    distinct: bool = False

    def parts(self) -> dict[str, tuple[Part, ...]]:
        """The parts of every table that there is."""
        parts = {"interactions": self.interactions, "users": self.users, "items": self.items,
                 "prehistory": self.prehistory}
        return {table: found for table, found in parts.items() if found}

    def read(self) -> Tables:
        """All tables as a whole."""
        return Tables(**{table: read_parts(found) for table, found in self.parts().items()})

    def heads(self) -> dict[str, pd.DataFrame]:
        """Every table without its rows: the names and types of its columns."""
        return {table: next(iter(found[0]())).iloc[:0] for table, found in self.parts().items()}


@dataclass(frozen=True)
class _Frame:
    frame: pd.DataFrame

    def __call__(self) -> Iterator[pd.DataFrame]:
        yield self.frame


def source_of(tables: Tables) -> Source:
    """Tables in memory as a source."""
    def parts(table: pd.DataFrame | None) -> tuple[Part, ...]:
        return () if table is None else (_Frame(table),)

    return Source(interactions=parts(tables.interactions), users=parts(tables.users),
                  items=parts(tables.items), prehistory=parts(tables.prehistory),
                  num_rows=len(tables.interactions))


def read_batches(parts: Iterable[Part]) -> Iterator[pd.DataFrame]:
    """A table batch by batch."""
    return (frame for part in parts for frame in part())


def read_parts(parts: Iterable[Part]) -> pd.DataFrame:
    """A table as a whole."""
    return pd.concat(read_batches(parts), ignore_index=True)
