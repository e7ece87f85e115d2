"""From a training run to a verified version of an exported model."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from dtrn_tf.files import write_json, write_text
from dtrn_tf.schema import Schema
from dtrn_tf.training.run_directory import load_run
from export.compact_weights import compact_weights
from export.gate import Gate, split_records
from export.model_card import model_card
from export.real_records import real_records
from export.sample_records import sample_records
from export.sample_request import sample_request
from export.saved_model import write_saved_model
from export.signatures import BOTTOM, build_signatures
from export.staging import staging_directory
from export.verification import BATCH_SIZES, TOLERANCE, verify, write_expected
from export.versions import (check_version_is_free, model_directory, publish,
                             remove_old_versions)
from export.warm_up import write_warm_up

# What a run directory says about its model; `evaluation` holds metrics per split.
_RUN_FILES = ("schema.yaml", "flags.txt", "versions.json", "statistics.json", "metrics.json",
              "evaluation")
# Real records lack some of what a server meets (unknown ids, NaN): these many are made up.
_MADE_UP = 200


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A version that is visible to servers.

    Args:
        path: EXPORT_DIR/MODEL_NAME/VERSION.
        signatures: Names of its signatures.
        difference: Largest difference of an output to the Keras model.
        warm_up: How many requests a server replays before it takes the version into use.
        measured: Sizes and AUC of the weights' format and of the gate, texts for people.
        removed: Paths of older versions that were removed.
    """

    path: str
    signatures: tuple[str, ...]
    difference: float
    warm_up: int
    measured: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def export_run(
    run_dir: str, export_dir: str, model_name: str, *,
    version: int | None = None, data_dir: str | None = None, max_bad_records: int = 0,
    gate: Gate = Gate(), keep_versions: int | None = None, weights: str = "float32",
) -> Exported:
    """Writes the best model of a run as the next version of a model, verified or not at all.

    Args:
        run_dir: Written by `pipelines.train`.
        export_dir: Where models lie; made if absent.
        model_name: Sub-directory of the model's versions.
        version: The version's number; by default the next free one.
        data_dir: Take test records from here for the verification, besides made-up ones.
        max_bad_records: The most bad records to pass over among the first test records, and
            among those of the gate.
        gate: What the model must reach on records of `data_dir`.
        keep_versions: Remove all but so many of the highest versions; None: keep all.
        weights: `float32`, or in which format they are stored; see `StoredWeight`.

    Raises:
        UserError: The run, records, name, version or format do not do, the verification failed,
            or the model may not pass the gate; no version is written.
    """
    model, preprocessing, schema = load_run(run_dir)
    measured_on = gate.records(schema, data_dir, max_bad_records)
    served, measured = model, []
    if weights != "float32":
        compared_on = split_records(schema, data_dir, gate.split, max_bad_records) if (
            data_dir) else None
        served, text = compact_weights(model, preprocessing, schema, weights, compared_on)
        measured.append(text)
    signatures = build_signatures(served, preprocessing, schema)
    records = verification_records(schema, run_dir, data_dir, max_bad_records)
    directory = model_directory(export_dir, model_name)
    check_version_is_free(directory, version)
    with staging_directory(directory) as staging:
        saved_model = os.path.join(staging, "saved_model")
        expected = os.path.join(staging, "expected.npz")
        write_saved_model(saved_model, signatures, preprocessing)
        write_expected(expected, model, preprocessing, schema, records)
        difference = verify(saved_model, expected)
        if measured_on is not None:
            measured.append(gate.pass_or_fail(saved_model, directory, schema, measured_on))
        card = model_card(schema, model_name, difference, TOLERANCE, BATCH_SIZES,
                          signatures[BOTTOM].structured_outputs)
        if measured:
            card += "\n## Measured at export\n\n```\n" + "\n\n".join(measured) + "\n```\n"
        _write_extra_assets(saved_model, run_dir, card)
        # The second record: a user with a history, whether records are real or made up.
        write_json(os.path.join(saved_model, "assets.extra", "request.json"),
                   sample_request(schema, records[1:]))
        warm_up = write_warm_up(saved_model, model_name, signatures, schema, records)
        path = publish(saved_model, directory, version)
    removed = () if keep_versions is None else remove_old_versions(directory, keep_versions, path)
    return Exported(path=path, signatures=tuple(signatures), difference=difference,
                    warm_up=warm_up, measured=tuple(measured), removed=tuple(removed))


def verification_records(schema: Schema, run_dir: str, data_dir: str | None,
                         max_bad_records: int = 0) -> list[bytes]:
    """As many records as the largest batch: real ones if there are any, then made-up ones.

    Raises:
        DataError: The data directory has no test records, or they do not fit the schema.
    """
    wanted = max(BATCH_SIZES)
    real = [] if data_dir is None else real_records(
        data_dir, schema, wanted - _MADE_UP, max_bad_records=max_bad_records)
    return real + sample_records(schema, run_dir, wanted - len(real))


def _write_extra_assets(saved_model: str, run_dir: str, card: str) -> None:
    """What people want to know of a version; servers do not look at it."""
    directory = os.path.join(saved_model, "assets.extra")
    os.makedirs(directory)
    for name in _RUN_FILES:
        source, target = os.path.join(run_dir, name), os.path.join(directory, name)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        elif os.path.exists(source):
            shutil.copyfile(source, target)
    write_text(os.path.join(directory, "README.md"), card)
