import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from helpers import small_schema, write_small_data

SCRIPT = pathlib.Path(__file__).parent / "mirrored_run.py"


def _train(replicas, *arguments):
    done = subprocess.run([sys.executable, str(SCRIPT), str(replicas), *arguments],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def request_data(tmp_path_factory):
    return write_small_data(tmp_path_factory.mktemp("data"), small_schema(layout="request"))


@pytest.mark.slow
@pytest.mark.parametrize("layout, optimizer, gradient_method", [
    ("impression", "rowwise_adagrad", "gradvac"), ("request", "lazy_adam", "none")])
def test_two_devices_reach_the_weights_of_one_on_the_same_global_batches(
        small_data, request_data, layout, optimizer, gradient_method):
    """Of requests, the devices have unequal numbers of rows, and other numbers in every step."""
    data_dir = small_data if layout == "impression" else request_data
    one, two = (_train(replicas, data_dir, optimizer, gradient_method) for replicas in (1, 2))
    assert (one["replicas"], two["replicas"]) == (1, 2)
    # 6 steps of 8 records; the 10 requests have 23 rows.
    assert one["rows"] == two["rows"] and (one["rows"] == 48) == (layout == "impression")
    assert two["traces"] <= 2  # one to see that sizes vary, one for all of them
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two["weights"], one["weights"], atol=2e-4)
    assert np.abs(np.array(one["weights"])).max() > 0.01
