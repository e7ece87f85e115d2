import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from tqdm import tqdm

from dtrn_tf.data.reader import list_shards
from dtrn_tf.schema import load_schema
from pipelines.prepare import summary_table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPEC = yaml.safe_load("""
source: tables
tables: {interactions: log.csv}
splits: {train_until: 1970-01-01, valid_until: 1970-01-02}
behaviors: {seen: []}
sequences: [{behavior: seen, max_length: 3}]
features: [{name: item, table: interactions, column: item_id, level: candidate}]
tasks: [{name: click, label: click}]
""")


def run(*flags, **variables):
    done = subprocess.run([sys.executable, "-m", "pipelines.prepare", *flags], cwd=ROOT,
                          env={**os.environ, **variables}, capture_output=True, text=True,
                          timeout=300)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def log_dir(tmp_path):
    directory = tmp_path / "log"
    directory.mkdir()
    pd.DataFrame({"user_id": [1, 1, 1], "item_id": [2, 3, 2], "timestamp": [5, 86_405, 172_805],
                  "click": [0, 1, 1]}).to_csv(directory / "log.csv", index=False)
    (directory / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    return directory


def test_table():
    table = summary_table({
        "rows": {"train": 12345, "valid": 7}, "bayes_auc": {"click": 0.75, "buy": 0.8},
        "positive_rates": {"train": {"click": 0.5, "buy": 0.0123},
                           "valid": {"click": 1.0, "buy": None}}})
    assert [line.split() for line in table.splitlines()] == [
        ["rows", "click", "buy"], ["train", "12,345", "50.00%", "1.23%"],
        ["valid", "7", "100.00%", "none"], ["best", "AUC", "0.7500", "0.8000"]]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_table_of_requests():
    table = summary_table({
        "rows": {"train": 12345, "valid": 7}, "requests": {"train": 1234, "valid": 3},
        "bayes_auc": {"click": 0.75},
        "positive_rates": {"train": {"click": 0.5}, "valid": {"click": None}}})
    assert [line.split() for line in table.splitlines()] == [
        ["rows", "requests", "click"], ["train", "12,345", "1,234", "50.00%"],
        ["valid", "7", "3", "none"], ["best", "AUC", "0.7500"]]
    assert len({len(line) for line in table.splitlines()}) == 1


@pytest.mark.slow
def test_the_synthetic_world(tmp_path):
    target = tmp_path / "data"
    code, out, err = run("--flagfile=configs/synthetic/prepare.flags", f"--data_dir={target}",
                         "--num_users=300", "--num_shards=3", "--gzip")
    assert code == 0, err
    assert "best AUC" in out and f"written: {target}" in out
    rows = sum(json.loads((target / "summary.json").read_text())["rows"].values())
    for bar in ("read", "write"):  # Both end with all rows.
        assert f"{bar}: {tqdm.format_sizeof(rows)} rows [" in err
    assert len(list_shards(str(target), "valid")) == 3
    assert load_schema(target / "schema.yaml").task_names == ("click", "like", "buy")


@pytest.mark.slow
def test_killed_while_it_writes_and_run_again(log_dir, tmp_path):
    """Nothing that looks finished is left, and other hash seeds give the bytes of a whole run."""
    spec = yaml.safe_load((log_dir / "spec.yaml").read_text())
    users, days = np.divmod(np.arange(60_000), 3)
    pd.DataFrame({"user_id": users, "item_id": users % 7, "timestamp": 5 + days * 86_400,
                  "click": days % 2}).to_csv(log_dir / "many.csv", index=False)
    (log_dir / "many.yaml").write_text(yaml.safe_dump(
        spec | {"tables": {"interactions": "many.csv"}}))
    flags = [f"--spec={log_dir}/many.yaml", f"--source_dir={log_dir}", "--num_shards=20"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "pipelines.prepare", *flags, f"--data_dir={tmp_path}/data"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("*/train/*.tfrecord")):
        assert killed.poll() is None, "prepare ended before it could be killed"
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    left, = tmp_path.glob("data*")
    assert left.name.endswith(".tmp") and not (left / "schema.yaml").exists()
    for name, seed in (("data", "1"), ("again", "2")):
        code, _, err = run(*flags, f"--data_dir={tmp_path}/{name}", PYTHONHASHSEED=seed)
        assert code == 0, err
    files, again = ({path.relative_to(tmp_path / name): path.read_bytes()
                     for path in (tmp_path / name).rglob("*") if path.is_file()}
                    for name in ("data", "again"))
    assert files == again and len(files) == 3 * 20 + 4


@pytest.mark.slow
def test_requests_of_the_synthetic_world(tmp_path):
    path = pathlib.Path(ROOT, "configs/synthetic/prepare.yaml")
    spec = yaml.safe_load(path.read_text())
    spec["synthetic"]["candidates_per_request"] = 5
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    code, out, err = run(f"--spec={tmp_path}/spec.yaml", f"--data_dir={tmp_path}/data",
                         "--num_users=100", "--num_shards=1", "--layout=request",
                         "--max_candidates=2")
    assert code == 0, err
    assert out.splitlines()[0].split() == ["rows", "requests", "click", "like", "buy"]
    rows, requests = (int(cell.replace(",", "")) for cell in out.splitlines()[1].split()[1:3])
    assert requests * 5 == rows * 3  # 2 + 2 + 1
    assert load_schema(tmp_path / "data" / "schema.yaml").layout == "request"


@pytest.mark.slow
def test_generic_tables_and_mistakes(log_dir, tmp_path):
    target = tmp_path / "data"
    flags = [f"--spec={log_dir}/spec.yaml", f"--data_dir={target}", "--num_shards=1"]
    code, out, err = run(*flags, f"--source_dir={log_dir}")
    assert code == 0, err
    assert [line.split()[:2] for line in out.splitlines()[1:4]] == [
        ["train", "1"], ["valid", "1"], ["test", "1"]]
    code, _, err = run(*flags, f"--source_dir={log_dir}")
    assert code == 1 and f"error: {target}: should not exist yet." in err
    code, _, err = run(*flags, f"--source_dir={log_dir}", "--overwrite", "--layout=request")
    assert code == 1 and "error: the prepare spec should say what a request is" in err
    os.rename(log_dir / "log.csv", log_dir / "gone.csv")
    code, _, err = run(*flags, f"--source_dir={log_dir}", "--overwrite")
    assert code == 1 and "log.csv: should be a readable Parquet or CSV file" in err
    assert "Traceback" not in err and (target / "schema.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize("flags, message", [
    (["--spec=absent.yaml", "--data_dir=x"], "error: absent.yaml: the prepare spec should be a"),
    (["--spec=configs/kuairand/prepare.yaml", "--data_dir=x"], "error: --source_dir should be"),
    (["--spec=configs/kuairand/prepare.yaml", "--data_dir=x", "--source_dir=tests"],
     "error: tests: should hold KuaiRand as interactions.parquet, or as the official"),
    (["--spec=configs/synthetic/prepare.yaml", "--data_dir=x", "--num_users=-1"], "num_users"),
    (["--data_dir=x"], "spec"),
])
def test_one_clear_error(flags, message):
    code, _, err = run(*flags)
    assert code == 1 and message in err and "Traceback" not in err
    assert not os.path.exists(os.path.join(ROOT, "x"))
