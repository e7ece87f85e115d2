import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.slow
def test_a_directory_without_a_model_is_a_clear_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "export.call", f"--saved_model={tmp_path}", "--data_dir=absent"],
        cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "error: --saved_model should be the directory of a version, with saved_model.pb in it. "
        f"Received: '{tmp_path}'.")
