import dataclasses
import json
import math
import os

import pytest
import tensorflow as tf
from helpers import small_schema

from dtrn_tf.errors import UserError
from dtrn_tf.schema import save_schema
from dtrn_tf.training.run_directory import RunDirectory, load_run

FLAGS = "--batch_size=8\n--seed=0\n"


def test_start_writes_what_the_run_consists_of(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "a" / "run"))
    run.start(small_data, FLAGS)
    assert sorted(os.listdir(run.path)) == ["flags.txt", "schema.yaml", "statistics.json",
                                            "versions.json", "vocabularies"]
    with open(run.file("versions.json")) as file:
        assert json.load(file)["tensorflow"] == tf.__version__
    with open(run.file("vocabularies", "item.txt")) as file:
        assert file.read().split() == ["101", "103", "107", "109", "113"]


def test_a_run_goes_on_only_with_its_own_flags(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    run.start(small_data, FLAGS)
    with pytest.raises(UserError, match="a run goes on only with its own flags. Received: was "
                                        "--seed=0; now --seed=1. Remedy: .*--overwrite"):
        run.start(small_data, FLAGS.replace("seed=0", "seed=1"))


def test_flags_that_change_nothing_in_the_result_may_change(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, "--checkpoint_every=9\n" + FLAGS)
    run.start(small_data, "--checkpoint_every=3\n--steps_per_call=1\n" + FLAGS)


def test_of_many_changes_the_first_are_shown(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, "".join(f"--flag{number:02}=1\n" for number in range(20)))
    with pytest.raises(UserError, match="was --flag00=1; .*was --flag11=1; and 8 more. Remedy"):
        run.start(small_data, "")


def test_a_run_goes_on_only_with_its_own_schema(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    changed = tmp_path / "changed"
    changed.mkdir()
    tasks = small_schema().tasks
    changed_task = dataclasses.replace(tasks[1], weight=3.0)
    save_schema(small_schema(tasks=(tasks[0], changed_task, *tasks[2:])),
                changed / "schema.yaml")
    with pytest.raises(UserError, match="a run goes on only with the schema that it began with. "
                                        "Received: .*schema.yaml has changed: was tasks.order."
                                        "weight: 2.0; now tasks.order.weight: 3.0. Remedy: .*"
                                        "--overwrite"):
        run.start(str(changed), FLAGS)


def test_a_directory_that_cannot_be_made(small_data):
    with pytest.raises(UserError, match="/proc/run: should be a directory that can be written and "
                                        "has room. Received: .* Remedy: make room"):
        RunDirectory("/proc/run").start(small_data, FLAGS)


def test_a_run_that_has_more_ids_than_its_records_goes_on(tmp_path, small_data):
    """As after a warm start: its vocabulary files are its own; the size of a hash is not."""
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    schema, texts = small_schema(), []
    for number, size in ((0, 9), (2, 12)):  # item: a file of 5; city: 11 buckets
        vocabularies = [dataclasses.replace(v, size=size) if i == number else v
                        for i, v in enumerate(schema.vocabularies)]
        save_schema(dataclasses.replace(schema, vocabularies=tuple(vocabularies)),
                    run.file("schema.yaml"))
        try:
            run.start(small_data, FLAGS)
        except UserError as error:
            texts.append(str(error))
    assert len(texts) == 1 and "schema.yaml has changed" in texts[0]


def test_flags_by_name(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, "# 2 devices\n--batch_size=8\n--nowide\n--units=5,3\n")
    assert run.read_flags() == {"batch_size": "8", "nowide": "", "units": "5,3"}


def test_remove_deletes_runs_only(tmp_path, small_data):
    (tmp_path / "precious").write_text("")
    RunDirectory(str(tmp_path)).remove()
    assert os.listdir(tmp_path) == ["precious"]
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    run.remove()
    assert os.listdir(run.path) == []
    run.remove()


def test_a_run_that_is_half_deleted_is_not_taken_for_a_new_one(tmp_path, small_data, monkeypatch):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    (tmp_path / "run" / "checkpoints").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "remove", _remove_all_but_flags(os.remove))
        with pytest.raises(KeyboardInterrupt):
            run.remove()
    assert run.is_started and not run.is_finished
    run.remove()
    assert os.listdir(run.path) == []


def _remove_all_but_flags(remove):
    def interrupted(path):
        if path.endswith("flags.txt"):
            raise KeyboardInterrupt
        remove(path)

    return interrupted


class _Model:
    def __init__(self, text):
        self.text = text

    def save(self, path):
        with open(path, "w") as file:
            file.write(self.text)


def test_the_best_model_replaces_the_one_before(tmp_path):
    run = RunDirectory(str(tmp_path))
    for number in (1, 2):
        run.save_best(_Model(f"model {number}"),
                      {"step": number, "valid": {"click": {"auc": math.nan}}})
    assert sorted(os.listdir(run.file("best"))) == ["metrics.json", "model.keras"]
    with open(run.file("best", "model.keras")) as file:
        assert file.read() == "model 2"
    assert run.read_best()["step"] == 2
    run.finish({"steps": 7})
    with open(run.file("metrics.json")) as file:
        text = file.read()
    # NaN is no JSON.
    assert json.loads(text) == {"steps": 7, "step": 2, "valid": {"click": {"auc": None}}}


def test_a_best_model_that_cannot_be_written_leaves_the_one_before(tmp_path):
    run = RunDirectory(str(tmp_path))
    run.save_best(_Model("good"), {"step": 1})

    class Full(_Model):
        def save(self, path):
            super().save(path)
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="best: should be a directory that can be written and has "
                                        "room. Received: No space left on device. Remedy"):
        run.save_best(Full("half"), {"step": 2})
    assert sorted(os.listdir(run.file("best"))) == ["metrics.json", "model.keras"]
    with open(run.file("best", "model.keras")) as file:
        assert file.read() == "good"
    assert run.read_best() == {"step": 1}


def test_load_run_without_a_model(tmp_path):
    with pytest.raises(UserError, match="--run_dir should be a directory that pipelines.train "
                                        "wrote, with best/model.keras in it. Received"):
        load_run(str(tmp_path))
