"""Fixtures that several test files share."""

import os

import pytest

# Start-up notes of TensorFlow would bury the report of a failing test.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """A data directory of `helpers.small_row`s; read it, do not change it."""
    from helpers import write_small_data  # imports TensorFlow: only for tests that need it

    return write_small_data(tmp_path_factory.mktemp("small_data"))
