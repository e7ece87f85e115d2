import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from dtrn_tf.optimizers import ROW_OPTIMIZER_NAMES

SCRIPT = pathlib.Path(__file__).parent / "mirrored_run.py"


def _train(replicas, data_dir, optimizer):
    done = subprocess.run([sys.executable, str(SCRIPT), str(replicas), data_dir, optimizer],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ROW_OPTIMIZER_NAMES)
def test_two_devices_reach_the_weights_of_one_on_the_same_global_batches(small_data, optimizer):
    one, two = (_train(replicas, small_data, optimizer) for replicas in (1, 2))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two["weights"], one["weights"], atol=2e-4)
    assert np.abs(np.array(one["weights"])).max() > 0.01
