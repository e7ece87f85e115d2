import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import small_row, small_schema, write_records

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.data.statistics import load_statistics
from dtrn_tf.layers import MMoE
from dtrn_tf.models.dtrn import DTRN
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer
from dtrn_tf.schema import load_schema
from dtrn_tf.training import TrainStep, make_strategy

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytestmark = pytest.mark.slow


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", "pipelines.inspect", *map(str, arguments)],
                          cwd=ROOT, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def test_the_schema_that_it_writes_trains(tmp_path):
    """Records of `small_schema`, which it does not get to see."""
    data, out = tmp_path / "data", tmp_path / "inspected"
    for part in range(2):
        write_records(data / "train" / f"part-0000{part}-of-00002.tfrecord.gz",
                      [encode_example(small_row(n), small_schema())
                       for n in range(50 * part, 50 * part + 50)])
    code, text, err = run(data, f"--output_dir={out}")
    assert code == 0, err
    assert "read 100 records of 2 of 2 files (" in text and "0 bad records" in text
    assert "the records against this schema: no findings" in text, text
    assert f"ln -s {data}/{{train,valid,test}} {out}/" in text
    assert f"python -m pipelines.validate --data_dir={out} --split=train" in text

    schema = load_schema(out / "schema.yaml")
    assert schema.task_names == ("code", "click", "stars")
    assert [b.name for b in schema.behaviors] == ["exposed", "liked_item"]
    assert schema.group.name == "user_id"
    assert {f.name for f in schema.features} == {
        "age", "author", "city", "device", "duration", "item", "tab"}
    assert "# - play_time: named like the time a user spent" in (out / "schema.yaml").read_text()
    statistics = load_statistics(out / "statistics.json")
    assert statistics.base_rates["click"] == 0.5
    assert statistics.numeric["age"].mean == pytest.approx(69.5)
    assert statistics.numeric["age"].std == pytest.approx(np.std(np.arange(100)))

    os.symlink(data / "train", out / "train")
    records = read_records(list_shards(out, "train"), schema, Preprocessing(schema, out),
                           batch_size=16, repeat=True)
    model = DTRN(schema, network=MMoE(num_tasks=3, num_experts=2, units=(4,)))
    model.build(None)
    step = TrainStep(model, PairedOptimizer(
        make_row_optimizer("lazy_adam", 0.01, 0.0), make_optimizer("adam", 0.01),
        model.embedding_tables, model.dense_weights), schema, make_strategy("cpu"))
    iterator = iter(records)
    losses = [step.run(iterator, 5)[0].numpy() for _ in range(3)]
    assert np.isfinite(losses).all() and losses[-1].sum() < losses[0].sum()


def test_mistakes_are_one_line_and_nothing_is_written(tmp_path):
    path = write_records(tmp_path / "a" / "a.tfrecord",
                         [encode_example(small_row(1), small_schema())])
    code, _, err = run(path, f"--output_dir={tmp_path}/out", "--labels=clik")
    assert code == 1 and "error: --labels should name features of the records" in err
    assert not (tmp_path / "out").exists()
