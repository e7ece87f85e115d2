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


def test_a_run_goes_on_only_with_its_own_schema(tmp_path, small_data):
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    changed = tmp_path / "changed"
    changed.mkdir()
    save_schema(small_schema(sample_weight=None), changed / "schema.yaml")
    with pytest.raises(UserError, match="a run goes on only with the schema that it began with. "
                                        "Received: .*schema.yaml has changed. Remedy: .*overwrite"):
        run.start(str(changed), FLAGS)


def test_remove_deletes_runs_only(tmp_path, small_data):
    precious = tmp_path / "precious"
    precious.mkdir()
    RunDirectory(str(precious)).remove()
    assert precious.exists()
    run = RunDirectory(str(tmp_path / "run"))
    run.start(small_data, FLAGS)
    run.remove()
    assert not os.path.exists(run.path)
    run.remove()


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


def test_load_run_without_a_model(tmp_path):
    with pytest.raises(UserError, match="--run_dir should be a directory that pipelines.train "
                                        "wrote, with best/model.keras in it. Received"):
        load_run(str(tmp_path))
