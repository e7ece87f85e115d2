"""What the documents show is true: code runs, files exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "benchmarks" / "README.md",
             *sorted((ROOT / "docs").glob("*.md"))]


def test_python_code_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTS[0].read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        names = {}
        exec(compile(block, "README.md", "exec"), names)
        assert tuple(names["hidden"].shape) == (None, 3, 64)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_and_files_exist(path):
    text = path.read_text()
    names = re.findall(r"\]\(([^)#:]+)\)", text)
    names += re.findall(r"configs/[\w/]+\.(?:flags|yaml)", text)
    for name in names:
        assert (path.parent / name).exists() or (ROOT / name).exists(), name


def test_schemas_of_the_documentation_are_ones():
    import yaml

    from dtrn_tf.schema import Schema

    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "schema.md").read_text(), re.DOTALL)
    schemas = [Schema.from_dict(yaml.safe_load(block)) for block in blocks]
    assert [schema.task_names for schema in schemas] == [
        ("click", "order", "long_view", "rating"), ("click", "order")]


def test_prepare_spec_of_the_documentation_is_one():
    import yaml

    from dtrn_tf.data.preparation.prepare_spec import PrepareSpec

    block = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "prepare.md").read_text(), re.DOTALL)
    assert PrepareSpec.from_dict(yaml.safe_load(block[1])).source == "tables"
