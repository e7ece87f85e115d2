"""The whole path, as real processes: synthetic world, records, model, SavedModel, answers."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo_ends_with_reached_and_possible_auc_and_a_prediction(tmp_path):
    """The shipped configuration with a fifth of the users and one epoch."""
    configs = tmp_path / "configs"
    shutil.copytree(ROOT / "configs" / "synthetic", configs)
    with open(configs / "prepare.flags", "a") as file:
        file.write("--num_users=600\n")
    with open(configs / "train.flags", "a") as file:
        file.write("--epochs=2\n--batch_size=128\n")
    work = tmp_path / "work"
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.demo", f"--work_dir={work}", f"--config_dir={configs}"],
        capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    table = re.findall(r"^(click|like|buy) +(0\.\d+) +(0\.\d+) +(\d+)%$", done.stdout, re.MULTILINE)
    assert [row[0] for row in table] == ["click", "like", "buy"]
    for task, reached, possible, share in table:
        # Learnt something, and nobody beats the optimum by more than the noise of a small test set.
        assert 0.6 < float(reached) < float(possible) + 0.03, (task, reached, possible)
    for signature in ("click", "like", "buy", "serving_default", "examples"):
        assert re.search(rf"^ +0 +{signature} +.*0\.\d+", done.stdout, re.MULTILINE), signature
    assert (work / "models" / "demo" / "1" / "saved_model.pb").exists()
    assert "tensorboard --logdir" in done.stdout


@pytest.mark.slow
def test_a_step_that_fails_ends_the_demo(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.demo", f"--work_dir={tmp_path}",
         f"--config_dir={tmp_path}/none"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "every step of the demo should succeed. Received: exit code 1" in done.stderr
