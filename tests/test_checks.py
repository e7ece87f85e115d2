from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from dtrn_tf import checks
from dtrn_tf.errors import SchemaError


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    size: int = 3
    sides: tuple[str, ...] | None = None
    more: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.whole_at_least(self.size, 1, "`size`")


def test_build():
    convert = {"sides": lambda v: tuple(checks.sequence(v, "sides"))}
    assert checks.build(Part, {"name": "a", "sides": ["b"]}, "it", convert) == Part(
        name="a", sides=("b",))
    assert checks.build(Part, {"name": "a", "sides": None}, "it", convert).sides is None
    assert [p.name for p in checks.build_all(Part, [{"name": "a"}, {"name": "b"}], "parts")] == [
        "a", "b"]


@pytest.mark.parametrize("item, message", [
    ([], r"it should be a mapping of keys to values. Received: \[\]"),
    ({"name": "a", "width": 1}, r"keys of it should be among \['name', .* unknown: \['width'\]"),
    ({}, r"it should have the keys \['name'\]. Missing: \['name'\]"),
    ({"name": "a", "size": 0}, "it: `size` should be a whole number >= 1. Received: 0"),
    ({"name": "a", "sides": "b"}, "it: `sides` should be a list. Received: 'b'"),
])
def test_build_names_the_mistake(item, message):
    convert = {"sides": lambda v: checks.sequence(v, "sides")}
    with pytest.raises(SchemaError, match=message):
        checks.build(Part, item, "it", convert)


def test_a_whole_file_needs_no_prefix():
    with pytest.raises(SchemaError, match="^`size` should be"):
        checks.build(Part, {"name": "a", "size": 0}, "it", whole_file=True)
    with pytest.raises(SchemaError, match=r"^parts\[1\]: `size`"):
        checks.build_all(Part, [{"name": "a"}, {"name": "a", "size": 0}], "parts")


@pytest.mark.parametrize("check, value, message", [
    (lambda v: checks.one_of(v, "ab", "x"), "c", r"x should be one of \['a', 'b'\]. Received: 'c'"),
    (lambda v: checks.at_least(v, 2.0, "x"), 1, "x should be a number >= 2.0. Received: 1"),
    (lambda v: checks.at_least(v, 0.0, "x"), True, "x should be a number >= 0.0. Received: True"),
    (lambda v: checks.at_least(v, 0.0, "x"), float("nan"), "x should be a number"),
    (lambda v: checks.whole_at_least(v, 1, "x"), 1.5, "x should be a whole number >= 1"),
    (lambda v: checks.identifier(v, "x"), "a b", "x should be a name of letters"),
    (lambda v: checks.text(v, "x"), "", "x should be text. Received: ''"),
    (lambda v: checks.no_duplicates("task", v), ["a", "b", "a"], r"more than once: \['a'\]"),
])
def test_rules(check, value, message):
    with pytest.raises(SchemaError, match=message):
        check(value)


def test_read_yaml(tmp_path):
    path = tmp_path / "a.yaml"
    with pytest.raises(SchemaError, match="a.yaml: the spec should be a readable YAML file"):
        checks.read_yaml(path, "the spec")
    path.write_text("a: [")
    with pytest.raises(SchemaError, match="a.yaml: should be YAML"):
        checks.read_yaml(path, "the spec")
    path.write_text("a: 1")
    assert checks.read_yaml(path, "the spec") == {"a": 1}
    path.write_text("a: 1\nparts:\n- {name: x, size: 1}\n- {name: y, size: 1, name: z}\n")
    with pytest.raises(SchemaError, match="key 'name' a second time in one mapping(.|\n)*line 4"):
        checks.read_yaml(path, "the spec")
    path.write_text("base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}\n")
    assert checks.read_yaml(path, "the spec")["more"] == {"a": 1, "b": 3}
