import json
import math

import pytest

from dtrn_tf.files import write_json, write_text


def test_text_replaces_what_was_there_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("one\n", "žwei\n"):
        write_text(path, text)
    assert path.read_text(encoding="utf-8") == "žwei\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_file_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    write_json(tmp_path / "a.json", {"a": [math.nan, 1.5, (math.inf, 2)], "b": {"c": -math.inf}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [None, 1.5, [None, 2]],
                                                             "b": {"c": None}}
