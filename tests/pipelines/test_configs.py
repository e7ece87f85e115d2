"""Every flagfile and spec that is shipped is read, and every training flagfile trains."""

import pathlib
import re
import subprocess
import sys

import pytest

from dtrn_tf.data.preparation.prepare_spec import load_prepare_spec

ROOT = pathlib.Path(__file__).parents[2]
FLAGFILES = sorted((ROOT / "configs").rglob("*.flags"))


def _lines(path):
    return path.read_text().splitlines()


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_begins_with_what_it_does_and_names_existing_files(path):
    assert _lines(path)[0].startswith("# ")
    for line in _lines(path):
        for name in re.findall(r"configs/\S+\.(?:flags|yaml)", line):
            assert (ROOT / name).exists(), f"{path}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("prepare.yaml")),
                         ids=lambda p: p.parent.name)
def test_specs_load(path):
    spec = load_prepare_spec(path)
    assert len(spec.tasks) >= 3 and len(spec.sequences) >= 3


def test_variants_of_the_study_differ():
    lines = _lines(ROOT / "configs" / "kuairand" / "study.flags")
    variants = [line for line in lines if line.startswith("--variant=")]
    assert len(variants) == len({line.partition(": ")[2] for line in variants}) == 8


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in FLAGFILES if p.name == "train.flags"],
                         ids=lambda p: p.parent.name)
def test_trains_two_steps(path, small_data, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.train", f"--flagfile={path}", f"--data_dir={small_data}",
         f"--run_dir={tmp_path}/run", "--batch_size=8", "--epochs=0.7"],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "step 2: validation AUC" in done.stderr + done.stdout
