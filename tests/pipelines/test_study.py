import json
import os
import subprocess
import sys

import pytest


def _study(*arguments):
    return subprocess.run([sys.executable, "-m", "pipelines.study", *arguments],
                          capture_output=True, text=True)


@pytest.mark.slow
def test_trains_and_tests_every_variant_and_goes_on_where_it_stopped(small_data, tmp_path):
    flagfile = tmp_path / "train.flags"
    flagfile.write_text("--batch_size=8\n--epochs=1\n--units=5\n")
    arguments = [f"--study_dir={tmp_path}/study", f"--data_dir={small_data}",
                 f"--train_flagfile={flagfile}", "--seeds=3,4",
                 "--variant=small: --network=shared_bottom --interest=mean --refinement=none"]
    done = _study(*arguments)
    assert done.returncode == 0, done.stderr
    aucs = []
    for seed in (3, 4):
        path = tmp_path / "study" / "small" / f"seed-{seed}" / "evaluation" / "test"
        with open(path / "metrics.json") as file:
            aucs.append(json.load(file)["click"]["auc"])
    row = done.stdout.strip().splitlines()[-1].split("|")
    assert row[1].strip() == "small"
    assert row[2].strip().startswith(f"{sum(aucs) / 2:.4f}".removeprefix("0"))
    assert (tmp_path / "study" / "test.md").read_text().strip() in done.stdout
    changed = os.stat(tmp_path / "study" / "small" / "seed-3" / "metrics.json").st_mtime
    assert _study(*arguments).returncode == 0
    assert changed == os.stat(tmp_path / "study" / "small" / "seed-3" / "metrics.json").st_mtime


@pytest.mark.slow
@pytest.mark.parametrize("variant, text", [
    ("no flags", "--variant should be `NAME: --flag=value ...`. Received: 'no flags'"),
    ("bad: --network=none", "every run of the study should succeed. Received: exit code 1 of"),
])
def test_bad_variants(variant, text, small_data, tmp_path):
    flagfile = tmp_path / "train.flags"
    flagfile.write_text("--batch_size=8\n")
    done = _study(f"--study_dir={tmp_path}/study", f"--data_dir={small_data}",
                  f"--train_flagfile={flagfile}", f"--variant={variant}", "--seeds=0")
    assert done.returncode == 1 and text in done.stderr and "Traceback" not in done.stderr
