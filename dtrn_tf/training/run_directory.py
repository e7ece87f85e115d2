"""The run directory: everything that a training run was, and everything it made."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shutil
from typing import Any

import tensorflow as tf

from dtrn_tf import models  # noqa: F401  (registers DTRN for load_model)
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.errors import UserError
from dtrn_tf.files import write_json, write_text, writing
from dtrn_tf.schema import Schema, load_schema

_DATA_FILES = ("schema.yaml", "statistics.json", "vocabularies")
# These change neither weights nor metrics.
_MAY_CHANGE = ("--checkpoint_every=", "--steps_per_call=")
_MOST_CHANGES = 12


class RunDirectory:
    """Paths and files of one run.

    RUN/flags.txt, versions.json, schema.yaml, statistics.json, vocabularies/ say what was run;
    checkpoints/ is for resuming, best/ the selected model, metrics.json the result, tensorboard/
    the curves.

    Args:
        path: The directory; made if absent.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def file(self, *parts: str) -> str:
        """The path of a file in the run directory."""
        return os.path.join(self.path, *parts)

    @property
    def is_started(self) -> bool:
        return os.path.exists(self.file("flags.txt"))

    @property
    def is_finished(self) -> bool:
        return os.path.exists(self.file("metrics.json"))

    def start(self, data_dir: str, flags: str) -> None:
        """Writes what the run consists of; a run that goes on must have the same flags.

        Args:
            data_dir: Schema, statistics and vocabularies are copied from here.
            flags: The resolved flags, a flagfile; comments in it may say what else must stay.

        Raises:
            UserError: The directory holds a run with other flags or another schema, or cannot be
                written.
        """
        if self.is_started:
            self._check_same_flags(flags)
            self._check_same_schema(data_dir)
            return
        with writing(self.path):
            os.makedirs(self.path, exist_ok=True)
            for name in _DATA_FILES:
                _copy(os.path.join(data_dir, name), self.file(name))
            write_json(self.file("versions.json"), _versions())
            # Last, because its presence says that the rest is whole.
            write_text(self.file("flags.txt"), flags)

    def _check_same_flags(self, flags: str) -> None:
        with open(self.file("flags.txt"), encoding="utf-8") as file:
            changed = _changes(_binding(file.read()), _binding(flags))
        if changed:
            raise UserError(
                f"{self.path}: a run goes on only with its own flags. Received: {changed}. "
                "Remedy: take them back, choose another --run_dir, or begin anew with "
                "--overwrite.")

    def _check_same_schema(self, data_dir: str) -> None:
        path = os.path.join(data_dir, "schema.yaml")
        before, now = (_entries(_without_sizes(load_schema(file)).to_dict())
                       for file in (self.file("schema.yaml"), path))
        changed = _changes(before, now)
        if changed:
            raise UserError(
                f"{self.path}: a run goes on only with the schema that it began with. Received: "
                f"{path} has changed: {changed}. Remedy: choose another --run_dir, or begin anew "
                "with --overwrite.")

    def read_flags(self) -> dict[str, str]:
        """The flags of the run by name, as text; of `--wide` and `--nowide` only the names."""
        with open(self.file("flags.txt"), encoding="utf-8") as file:
            pairs = [line.removeprefix("--").partition("=") for line in file.read().splitlines()
                     if line.startswith("--")]
        return {name: value for name, _, value in pairs}

    def remove(self) -> None:
        """Deletes the run, if there is one.

        What says that there is a run goes last: when a process is killed in between, the next one
        does not take the rest for a beginning of its own.
        """
        if not self.is_started:
            return
        with writing(self.path):
            for entry in sorted(os.scandir(self.path), key=lambda entry: entry.is_dir()):
                if entry.is_dir():
                    shutil.rmtree(entry.path)
                elif entry.name != "flags.txt":
                    os.remove(entry.path)
            os.remove(self.file("flags.txt"))

    def take_back(self) -> None:
        """Undoes `start` for a run that could not begin, so that a mended command may.

        Other files stay: they may have been there before, and the next start replaces its own.
        """
        with writing(self.path), contextlib.suppress(FileNotFoundError):
            os.remove(self.file("flags.txt"))

    def save_best(self, model: Any, results: dict[str, Any]) -> None:
        """Keeps this model as the best so far, with its validation metrics."""
        temporary = self.file("best", "model.tmp.keras")
        with writing(self.file("best")):
            os.makedirs(self.file("best"), exist_ok=True)
            try:
                model.save(temporary)
                os.replace(temporary, self.file("best", "model.keras"))
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(temporary)
            write_json(self.file("best", "metrics.json"), results)

    def read_best(self) -> dict[str, Any]:
        """Step and validation metrics of the best model."""
        with open(self.file("best", "metrics.json"), encoding="utf-8") as file:
            return json.load(file)

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes metrics.json; its presence says that the run has ended."""
        with writing(self.path):
            write_json(self.file("metrics.json"), {**summary, **self.read_best()})


def load_run(path: str) -> tuple[Any, Preprocessing, Schema]:
    """The best model of a run, its preprocessing and its schema.

    Raises:
        UserError: There is no trained model in the directory.
    """
    model_file = os.path.join(path, "best", "model.keras")
    if not os.path.exists(model_file):
        raise UserError(f"--run_dir should be a directory that pipelines.train wrote, with "
                        f"best/model.keras in it. Received: {path!r}.")
    schema = load_schema(os.path.join(path, "schema.yaml"))
    model = tf.keras.models.load_model(model_file, compile=False, safe_mode=True)
    return model, Preprocessing(schema, path), schema


def _binding(flags: str) -> set[str]:
    """The lines of a flagfile that decide what comes out."""
    return {line for line in flags.splitlines() if not line.startswith(_MAY_CHANGE)}


def _without_sizes(schema: Schema) -> Schema:
    """The run has vocabulary files of its own, after a warm start with more ids."""
    return dataclasses.replace(schema, vocabularies=tuple(
        dataclasses.replace(v, size=1) if v.kind == "file" else v for v in schema.vocabularies))


def _entries(value: Any, place: str = "") -> set[str]:
    """Every value of a nested structure with its place: `tasks.click.weight: 1.0`."""
    if isinstance(value, dict):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list):
        parts = [(str(part.get("name", number)) if isinstance(part, dict) else str(number), part)
                 for number, part in enumerate(value)]
    else:
        return {f"{place}: {value}"}
    return {entry for key, part in parts
            for entry in _entries(part, f"{place}.{key}" if place else key)}


def _changes(before: set[str], now: set[str]) -> str:
    lines = [f"was {line}" for line in sorted(before - now)]
    lines += [f"now {line}" for line in sorted(now - before)]
    more = [f"and {len(lines) - _MOST_CHANGES} more"] if len(lines) > _MOST_CHANGES else []
    return "; ".join(lines[:_MOST_CHANGES] + more)


def _copy(source: str, target: str) -> None:
    if os.path.isdir(source):
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif os.path.exists(source):
        shutil.copyfile(source, target)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "tensorflow": tf.__version__,
            "keras": tf.keras.__version__, "platform": platform.platform()}
