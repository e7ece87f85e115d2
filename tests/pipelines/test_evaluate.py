import json
import os
import subprocess
import sys

import pytest
from helpers import small_row, small_schema, write_records
from small_run import write_small_run

from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.reader import list_shards, read_records
from dtrn_tf.evaluation import evaluate, predict
from dtrn_tf.training.run_directory import load_run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_small_run(tmp_path_factory.mktemp("run") / "small")


def run(*flags):
    done = subprocess.run([sys.executable, "-m", "pipelines.evaluate", *flags], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def test_evaluate_prints_a_table_and_writes_the_metrics(run_dir):
    code, out, err = run(f"--run_dir={run_dir}", f"--data_dir={run_dir}", "--batch_size=7")
    assert code == 0, err
    path = os.path.join(run_dir, "evaluation", "test", "metrics.json")
    assert out.splitlines()[-1] == f"Written to {path}"
    with open(path, encoding="utf-8") as file:
        written = json.load(file)
    assert list(written) == ["click", "order", "long_view", "rating"]
    assert [line.split()[0] for line in out.splitlines()[:5]] == ["task", *written]
    # Every user has one row, so that no group has both classes.
    assert written["click"]["gauc"] is None and "undefined" in out

    model, preprocessing, schema = load_run(run_dir)
    dataset = read_records(list_shards(run_dir, "test"), schema, preprocessing, batch_size=23,
                           group=True)
    expected = evaluate(predict(model, dataset, group="user_id"), schema)
    for task, metrics in expected.items():
        metrics.pop("gauc", None)
        written[task].pop("gauc", None)
        assert written[task] == pytest.approx(metrics, rel=1e-5)
    assert written["click"]["rows"] == 23 and written["click"]["positives"] == 11


def test_split_and_output_are_flags(run_dir, tmp_path):
    output = tmp_path / "made" / "metrics.json"
    code, out, err = run(f"--run_dir={run_dir}", f"--data_dir={run_dir}", "--split=valid",
                         f"--output={output}")
    assert code == 0, err
    assert json.loads(output.read_text())["order"]["rows"] == 23


@pytest.mark.parametrize("flags, message", [
    (("--run_dir=absent", "--data_dir=absent"),
     "error: --run_dir should be a directory that pipelines.train wrote"),
    (("--run_dir={run}", "--data_dir={run}", "--split=dev"),
     "dev: should be a readable directory of record files"),
    (("--run_dir={run}", "--data_dir={run}", "--batch_size=0"), "batch_size"),
    (("--run_dir={run}", "--data_dir={bad}"),
     "label feature 'is_click' of task 'click' should be 0 or 1"),
])
def test_a_mistake_is_one_clear_error_and_nothing_is_written(run_dir, tmp_path, flags, message):
    write_records(tmp_path / "bad" / "test" / "records.tfrecord",
                  [encode_example(small_row(n, is_click=n // 4), small_schema())
                   for n in range(9)])
    output = tmp_path / "metrics.json"
    flags = [flag.format(run=run_dir, bad=tmp_path / "bad") for flag in flags]
    code, out, err = run(*flags, f"--output={output}")
    assert (code, out) == (1, "")
    assert message in err and "Traceback" not in err
    assert not output.exists()


def test_an_output_that_cannot_be_written_is_a_clear_error(run_dir, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run(f"--run_dir={run_dir}", f"--data_dir={run_dir}",
                       f"--output={tmp_path}/file/metrics.json")
    assert code == 1
    assert "file/metrics.json should be a file that can be written" in err
