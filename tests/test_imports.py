"""The architecture as a rule: imports only go down."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# What each part may import of ours; a part may always import itself.
ALLOWED = {
    "dtrn_tf.errors": set(),
    "dtrn_tf.files": {"dtrn_tf.errors"},
    "dtrn_tf.checks": {"dtrn_tf.errors"},
    "dtrn_tf.program": {"dtrn_tf.errors"},
    "dtrn_tf.schema": {"dtrn_tf.errors", "dtrn_tf.checks", "dtrn_tf.files"},
    "dtrn_tf.losses": set(),
    "dtrn_tf.text_table": set(),
    "dtrn_tf.metrics": set(),
    "dtrn_tf.layers": set(),
    "dtrn_tf.data": {"dtrn_tf.schema", "dtrn_tf.checks", "dtrn_tf.errors", "dtrn_tf.files"},
    "dtrn_tf.data.profiling": {"dtrn_tf.data", "dtrn_tf.schema", "dtrn_tf.errors", "dtrn_tf.files",
                               "dtrn_tf.text_table"},
    "dtrn_tf.optimizers": {"dtrn_tf.layers"},
    "dtrn_tf.balancing": set(),
    "dtrn_tf.models": {"dtrn_tf.layers", "dtrn_tf.schema"},
    "dtrn_tf.evaluation": {"dtrn_tf.metrics", "dtrn_tf.schema", "dtrn_tf.files", "dtrn_tf.errors",
                           "dtrn_tf.text_table"},
    "dtrn_tf.training": {"dtrn_tf.models", "dtrn_tf.layers", "dtrn_tf.losses", "dtrn_tf.data",
                         "dtrn_tf.balancing", "dtrn_tf.optimizers", "dtrn_tf.schema",
                         "dtrn_tf.errors", "dtrn_tf.files", "dtrn_tf.evaluation",
                         "dtrn_tf.text_table"},
    "export": {"dtrn_tf"},
    "pipelines": {"dtrn_tf", "export"},
    "benchmarks": {"dtrn_tf", "export"},
}
NO_TENSORFLOW = ("dtrn_tf/schema.py", "dtrn_tf/checks.py", "dtrn_tf/errors.py", "dtrn_tf/files.py",
                 "dtrn_tf/metrics.py", "dtrn_tf/data/vocabulary.py", "dtrn_tf/data/statistics.py",
                 "dtrn_tf/data/record_count.py", "dtrn_tf/data/record_file.py",
                 "dtrn_tf/data/preparation/history.py",
                 "dtrn_tf/data/preparation/prepare_spec.py",
                 "dtrn_tf/data/profiling/value_counts.py",
                 "dtrn_tf/data/profiling/number_sketch.py", "dtrn_tf/data/profiling/distances.py",
                 "dtrn_tf/data/profiling/finding.py", "dtrn_tf/data/profiling/svg.py",
                 "export/client.py", "export/request.py", "export/rest_transport.py",
                 "export/serving_client.py", "export/serving_error.py")
FILES = sorted(p.relative_to(ROOT) for top in ("dtrn_tf", "export", "pipelines", "benchmarks")
               for p in (ROOT / top).rglob("*.py"))


def _imports(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} should import by full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _part(name):
    """The architecture's part that a module belongs to; None for the package itself."""
    return next((part for part in sorted(ALLOWED, key=len, reverse=True)
                 if name == part or name.startswith(f"{part}.")), None)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_only_go_down(path):
    module = ".".join(path.with_suffix("").parts)
    part = _part(module)
    if part is None:
        assert path == pathlib.Path("dtrn_tf/__init__.py"), f"{path} has no place in ALLOWED"
        return
    for name in _imports(path):
        if name.split(".")[0] not in ("dtrn_tf", "export", "pipelines", "benchmarks"):
            continue
        target = _part(name)
        allowed = ALLOWED[part] | {part}
        assert target in allowed or name.split(".")[0] in allowed, f"{path} imports {name}"


@pytest.mark.parametrize("path", NO_TENSORFLOW)
def test_no_tensorflow(path):
    assert not any(name.split(".")[0] in ("tensorflow", "keras") for name in _imports(path))
