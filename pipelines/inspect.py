"""Look into TFRecord files and write a starter schema for them.

    python -m pipelines.inspect FILES... --output_dir=OUT

FILES are TFRecord files of tf.train.Example, plain or GZIP (.gz), patterns, or directories. It
prints what every feature holds and writes OUT/schema.yaml, with a comment wherever the guess should
be looked at, and the vocabularies and statistics that training needs beside it.
"""

from __future__ import annotations

import os
import time

from absl import flags
from tqdm import tqdm

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from dtrn_tf.data.preparation.record_writer import check_target, new_directory
from dtrn_tf.data.profiling import report
from dtrn_tf.data.profiling.finding import Limits
from dtrn_tf.data.profiling.profile import profile_files
from dtrn_tf.data.profiling.record_files import find_record_files
from dtrn_tf.data.profiling.schema_findings import bad_record_findings, schema_findings
from dtrn_tf.data.profiling.starter_files import write_starter
from dtrn_tf.data.profiling.starter_schema import Starter, guess_schema

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "inspected", "Directory to make.")
_OVERWRITE = flags.DEFINE_boolean("overwrite", False, "Replace --output_dir if it exists.")
_MAX_RECORDS = flags.DEFINE_integer(
    "max_records", 100_000, "Records to read, about equally many of the beginning of each file; 0 "
    "reads all.", lower_bound=0)
_LABELS = flags.DEFINE_list(
    "labels", [], "Features that are labels, if the names do not tell: NAME,NAME.")
_GROUP = flags.DEFINE_string(
    "group", None, "Feature that groups rows for GAUC, by default what looks like the user's id.")
_MAX_VOCABULARY = flags.DEFINE_integer(
    "max_vocabulary", 100_000, "The most ids of a vocabulary file and of what is counted of a "
    "feature; more are hashed. A feature with more takes about 20 MB.", lower_bound=1)


def main(arguments: list[str]) -> None:
    check_target(_OUTPUT_DIR.value, _OVERWRITE.value, marker="schema.yaml")
    files = find_record_files(arguments)
    start = time.monotonic()
    with tqdm(unit=" records", desc="read", leave=False, disable=None) as bar:
        profile = profile_files(files, max_records=_MAX_RECORDS.value,
                                max_values=_MAX_VOCABULARY.value, progress=bar.update)
    print(report.features_table(profile))
    print(f"\nread {profile.records:,} records of {len(profile.files):,} of {len(files):,} files "
          f"({profile.records / (time.monotonic() - start):,.0f} records/s); "
          f"{profile.num_bad:,} bad records")
    if profile.bad:
        print(report.findings_table(bad_record_findings(profile)))
    starter = guess_schema(profile, labels=_LABELS.value, group=_GROUP.value,
                           max_file_size=_MAX_VOCABULARY.value)
    with new_directory(_OUTPUT_DIR.value, _OVERWRITE.value, marker="schema.yaml") as directory:
        with tqdm(total=profile.records, unit=" records", desc="check", leave=False,
                  disable=None) as bar:
            checks = write_starter(starter, profile, directory, files,
                                   max_records=_MAX_RECORDS.value, progress=bar.update)
    _print_guess(starter)
    # What the schema leaves out is said above.
    findings = [f for f in schema_findings(profile, checks, Limits()) if f.check != "extra"]
    print(f"\nthe records against this schema: {report.findings_table(findings)}")
    _print_next(arguments)


def _print_guess(starter: Starter) -> None:
    schema = starter.schema
    print(f"\nguessed: layout {schema.layout}; {len(schema.features)} features; behaviours "
          f"{[b.name for b in schema.behaviors]}; tasks {list(schema.task_names)}; group "
          f"{schema.group.source if schema.group else None}")
    for name, why in sorted(starter.left_out.items()):
        print(f"  not used: {name} ({why})")
    unsure = [f"{section} {name}".strip() for (section, name), note in starter.notes.items()
              if "?" in note]
    print(f"{len(unsure)} guesses to look at, marked with `?` in the comments: {', '.join(unsure)}")


def _print_next(arguments: list[str]) -> None:
    out = _OUTPUT_DIR.value
    splits = os.path.join(os.path.abspath(arguments[0]), "{train,valid,test}")
    where = (f"ln -s {splits} {out}/" if os.path.isdir(os.path.join(arguments[0], "train"))
             else f"put the files into {out}/train, {out}/valid and {out}/test, named "
                  "*.tfrecord[.gz]")
    print(f"\nwritten: {out}\nNext: look at {out}/schema.yaml; {where}; then\n"
          f"  python -m pipelines.validate --data_dir={out} --split=train\n"
          f"  python -m pipelines.train --data_dir={out} --run_dir=runs/first")


if __name__ == "__main__":
    program.run(main, files=True)
