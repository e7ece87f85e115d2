"""What a run says about the records that it leaves out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.data.bad_records import bad_record_lines, count_bad_records
from dtrn_tf.data.record_file import BadRecord
from dtrn_tf.errors import UserError
from dtrn_tf.files import write_json
from dtrn_tf.training.run_directory import RunDirectory

Counts = dict[str, dict[str, dict[str, int]]]


def report_bad_records(
    records: Mapping[str, Sequence[BadRecord]], run: RunDirectory
) -> Counts:
    """Says on stderr, in RUN/bad_records.json and in TensorBoard which records are left out.

    Args:
        records: The bad records of every split.
        run: A run that starts or goes on.

    Returns:
        {split: {file: {reason: number of bad records}}}, for metrics.json.

    Raises:
        UserError: The run began with other bad records: what is left out decides which record
            comes when, so that it cannot go on.
    """
    for line in (line for bad in records.values() for line in bad_record_lines(bad)):
        print(line, file=sys.stderr)
    path = run.file("bad_records.json")
    entries = {split: [_entry(record) for record in bad] for split, bad in records.items()}
    counts = {split: count_bad_records(bad) for split, bad in records.items()}
    if os.path.exists(path):
        _check_same(path, entries)
    else:
        _write_curves(counts, run)
        write_json(path, entries)
    return counts


def _entry(record: BadRecord) -> dict[str, Any]:
    return {"file": os.path.basename(record.file), "record": record.number,
            "reason": record.reason, "message": record.message}


def _check_same(path: str, entries: dict[str, list[dict[str, Any]]]) -> None:
    with open(path, encoding="utf-8") as file:
        before = _keys(json.load(file))
    changed = sorted(before ^ _keys(entries))
    if changed:
        raise UserError(
            f"{path}: a run goes on only with the records that it began with. Received: files with "
            f"other bad records, such as {changed[0]}. Remedy: bring the files back, or begin anew "
            "with --overwrite.")


def _keys(entries: dict[str, list[dict[str, Any]]]) -> set[tuple[str, str, int, str]]:
    return {(split, entry["file"], entry["record"], entry["reason"])
            for split, bad in entries.items() for entry in bad}


def _write_curves(counts: Counts, run: RunDirectory) -> None:
    rows = [(split, file, reason, number) for split, files in counts.items()
            for file, reasons in files.items() for reason, number in reasons.items()]
    totals: dict[str, int] = {}
    for split, _, reason, number in rows:
        name = f"bad_records/{split}/{reason}"
        totals[name] = totals.get(name, 0) + number
    table = "\n".join(["| split | file | reason | records |", "|---|---|---|---|",
                       *(f"| {split} | {file} | {reason} | {number} |"
                         for split, file, reason, number in rows)])
    with tf.summary.create_file_writer(run.file("tensorboard")).as_default():
        tf.summary.text("bad_records", table, step=0)
        for name, total in totals.items():
            tf.summary.scalar(name, total, step=0)
