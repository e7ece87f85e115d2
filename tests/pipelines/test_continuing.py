"""Day after day as a team does it: a run, a dry run of the next one, a warm start, as processes."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import ITEMS, small_schema, write_small_data

from dtrn_tf.data.statistics import Moments, load_statistics, save_statistics
from dtrn_tf.data.vocabulary import read_vocabulary, write_vocabulary
from dtrn_tf.models.weight_names import weight_names
from dtrn_tf.schema import save_schema
from dtrn_tf.training import load_run

pytestmark = pytest.mark.slow
FLAGS = ["--batch_size=4", "--epochs=1", "--shuffle_buffer=30", "--units=5", "--num_experts=2",
         "--interest=mean", "--refinement=none", "--strategy=cpu", "--warmup_steps=2",
         "--learning_rate_schedule=cosine"]


def _train(data_dir, run_dir, *more):
    return subprocess.run([sys.executable, "-m", "pipelines.train", f"--data_dir={data_dir}",
                           f"--run_dir={run_dir}", *FLAGS, *more], capture_output=True, text=True)


@pytest.fixture(scope="module")
def yesterday(small_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "yesterday"
    done = _train(small_data, path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def today_data(tmp_path_factory):
    """The next day: two new items, three that were not seen, another mean age, one task less."""
    path = tmp_path_factory.mktemp("today")
    write_small_data(path)
    write_vocabulary(path / "vocabularies" / "item.txt", [113, 7, 101, 8])
    schema = small_schema()
    save_schema(dataclasses.replace(schema, tasks=schema.tasks[:3], vocabularies=(
        dataclasses.replace(schema.vocabularies[0], size=4), *schema.vocabularies[1:])),
        path / "schema.yaml")
    statistics = load_statistics(path / "statistics.json")
    save_statistics(dataclasses.replace(statistics, numeric={
        **statistics.numeric, "age": Moments(31.0, 5.0)}), path / "statistics.json")
    return path


def test_a_dry_run_tells_the_plan_and_leaves_nothing(yesterday, today_data, tmp_path):
    done = _train(today_data, tmp_path / "new" / "run", f"--warm_start={yesterday}", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []
    lines = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()}
    # 7 + 2 items, 5 authors, 13 cities, 15 devices, 9 tabs; each 8 wide, with two slots of Adam.
    assert lines["embedding tables"][2:] == ["408", "0", "0", "0", "1.63", "kB", "3.26", "kB"]
    assert lines["wide tables"][2] == str(51 * 3)
    assert lines["towers"][1:5] == ["18", "0", "18", "0"]
    for text in ("Dense weights of single tasks: network/gates/kernel, towers/*",
                 "train: 23 records in 3 files", "6 steps of 4 records on 1 devices",
                 "weights are carried over whole", "all is well"):
        assert text in done.stdout, done.stdout


def test_a_dry_run_that_fails(small_data, tmp_path):
    """At what a run would notice only after its first epoch."""
    done = _train(small_data, tmp_path / "run", "--dry_run", "--selection_metric=click/aucc")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: --selection_metric should be mean_METRIC or TASK/METRIC" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_dry_run_of_a_run_that_may_not_go_on(yesterday, small_data):
    done = _train(small_data, yesterday, "--dry_run", "--seed=7")
    assert done.returncode == 1
    assert "a run goes on only with its own flags. Received: was --seed=0; now --seed=7" \
        in done.stderr


def test_a_warm_start_keeps_ids_statistics_and_slots(yesterday, today_data, tmp_path):
    path = tmp_path / "today"
    done = _train(today_data, path, f"--warm_start={yesterday}", "--freeze=embedding/item,wide/*")
    assert done.returncode == 0, done.stderr
    for text in ("Numbers are normalised as the weights know it:", "frozen: embedding/item",
                 "id: 7 kept, 2 new, 0 dropped", "task: 3 kept, 0 new, 1 dropped",
                 "The optimisers go on with what they knew after step 6.", "at step 0"):
        assert text in done.stdout, done.stdout
    assert read_vocabulary(path / "vocabularies" / "item.txt", "int64") == [*ITEMS, 7, 8]
    assert load_statistics(path / "statistics.json").numeric["age"] == Moments(30.0, 5.0)
    before, after = (weight_names(load_run(str(run))[0]) for run in (yesterday, path))
    np.testing.assert_array_equal(after["embedding/item"][:7], before["embedding/item"])
    np.testing.assert_array_equal(after["wide/tab"], np.array(before["wide/tab"])[:, :3])
    assert not np.array_equal(after["embedding/author"], before["embedding/author"])
