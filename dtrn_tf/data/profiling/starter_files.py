"""Writes a starter schema with the vocabularies and statistics that training needs beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.profiling.profile import Profile, all_batches
from dtrn_tf.data.profiling.record_checks import RecordChecks
from dtrn_tf.data.profiling.schema_text import schema_text
from dtrn_tf.data.profiling.starter_schema import Starter
from dtrn_tf.data.statistics import Statistics, save_statistics
from dtrn_tf.data.vocabulary import write_vocabulary
from dtrn_tf.files import write_text


def write_starter(
    starter: Starter,
    profile: Profile,
    directory: str,
    files: Sequence[str],
    *,
    max_records: int,
    progress: Callable[[int], object] = lambda count: None,
) -> RecordChecks:
    """Writes schema.yaml, vocabularies/ and statistics.json, and reads the records with them.

    Args:
        starter: What to write.
        profile: What it was guessed from.
        directory: Where to write; it exists.
        files: The files that were read.
        max_records: How many records of them, 0 for all.
        progress: Gets the number of records of every batch.

    Returns:
        What training would make of the records; the base rates of the tasks come from here.
    """
    write_text(os.path.join(directory, "schema.yaml"), schema_text(starter, profile))
    for vocabulary in starter.schema.vocabularies:
        if vocabulary.file:
            write_vocabulary(os.path.join(directory, vocabulary.file),
                             starter.vocabularies[vocabulary.name])
    statistics = os.path.join(directory, "statistics.json")
    save_statistics(Statistics(numeric=starter.moments), statistics)
    checks = RecordChecks(starter.schema, Preprocessing(starter.schema, directory))
    for batch in all_batches(files, max_records):
        checks.add(batch)
        progress(len(getattr(batch, "records", "1")))
    rates = {name: total / checks.num_labels[name] for name, total in checks.label_sums.items()
             if checks.num_labels[name]}
    save_statistics(Statistics(numeric=starter.moments, base_rates=rates), statistics)
    return checks
