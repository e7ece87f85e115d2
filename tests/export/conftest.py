import pytest


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """A run directory with records in it; read it, do not change it."""
    from small_run import write_small_run

    return write_small_run(tmp_path_factory.mktemp("run") / "small")


@pytest.fixture(scope="session")
def run(run_dir):
    """Model, preprocessing and schema of `run_dir`."""
    from dtrn_tf.training.run_directory import load_run

    return load_run(run_dir)


@pytest.fixture(scope="session")
def signatures(run):
    from export.signatures import build_signatures

    return build_signatures(*run)
