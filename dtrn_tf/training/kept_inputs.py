"""What a run that starts from another one keeps of it beside the weights: ids and normalisation."""

from __future__ import annotations

import os

from dtrn_tf.data.preparation.record_schema import with_sizes
from dtrn_tf.data.statistics import load_statistics, save_statistics
from dtrn_tf.data.vocabulary import read_vocabulary, write_vocabulary
from dtrn_tf.schema import Schema, Vocabulary, load_schema, save_schema
from dtrn_tf.training.kept_statistics import kept_statistics


def write_kept_inputs(data_dir: str, source: str, target: str, *, keep_ids: bool,
                      keep_statistics: bool) -> str:
    """Writes schema, vocabularies and statistics for a run that starts from another one.

    Records hold ids and numbers as they are, so these files alone decide what becomes of them.

    Args:
        data_dir: Holds the files that belong to the new records.
        source: Directory of the run to start from.
        target: Takes the files.
        keep_ids: Whether the vocabularies hold the ids of that run, and the new ones behind them,
            or those of the new records alone.
        keep_statistics: Whether mean and std are those that the weights know.

    Returns:
        A text about differences of the statistics; empty if there are none.

    Raises:
        DataError: A file is missing or broken.
    """
    schema = load_schema(os.path.join(data_dir, "schema.yaml"))
    before = load_schema(os.path.join(source, "schema.yaml"))
    sizes = {}
    for vocabulary in schema.vocabularies:
        if vocabulary.kind == "file":
            ids = _ids(vocabulary, data_dir)
            old = _same(vocabulary, before)
            if keep_ids and old:
                ids = list(dict.fromkeys([*_ids(old, source), *ids]))
            write_vocabulary(os.path.join(target, str(vocabulary.file)), ids)
            sizes[vocabulary.name] = len(ids)
    save_schema(with_sizes(schema, sizes), os.path.join(target, "schema.yaml"))
    statistics = load_statistics(os.path.join(data_dir, "statistics.json"))
    kept, table = kept_statistics(schema, statistics, source)
    save_statistics(kept if keep_statistics else statistics,
                    os.path.join(target, "statistics.json"))
    return table and (
        "The new records have other statistics than the run to start from. Numbers are normalised "
        + ("as the weights know it:" if keep_statistics else "anew, which the weights do not know:")
        + f"\n\n{table}\n")


def _ids(vocabulary: Vocabulary, directory: str) -> list[int] | list[str]:
    return read_vocabulary(os.path.join(directory, str(vocabulary.file)), vocabulary.dtype)


def _same(vocabulary: Vocabulary, schema: Schema) -> Vocabulary | None:
    return next((v for v in schema.vocabularies if (v.name, v.kind, v.dtype) == (
        vocabulary.name, vocabulary.kind, vocabulary.dtype)), None)
