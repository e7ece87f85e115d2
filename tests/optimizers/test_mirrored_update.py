import json
import pathlib
import subprocess
import sys

import pytest

from dtrn_tf.optimizers import ROW_OPTIMIZER_NAMES

SCRIPT = pathlib.Path(__file__).parent / "mirrored_update.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", ROW_OPTIMIZER_NAMES)
def test_two_devices_update_as_one_and_read_no_table_as_a_whole(name):
    done = subprocess.run([sys.executable, str(SCRIPT), name], capture_output=True, text=True,
                          check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result["copies"]) == {2}
    assert not any(result["copies_differ"])
    assert result["largest_error"] < 1e-5 < 0.1 < result["largest_update"]
    assert result["tables_read_as_a_whole"] == []
