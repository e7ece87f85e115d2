import json

import tensorflow as tf
from helpers import small_schema

from export.model_card import model_card
from export.dense_inputs import dense_inputs


REPRESENTATIONS = {"bottom": tf.TensorSpec([None, 4, 9, 8]),
                   "interests": tf.TensorSpec([None, 4, 2, 8])}


def card():
    return model_card(small_schema(), "ranker", 2.5e-7, 1e-6, (1, 2, 1000), REPRESENTATIONS)


def test_card_names_every_input_with_type_and_shape():
    for name, spec in dense_inputs(small_schema()).items():
        rows = "B" if name in ("item", "author", "duration") else "R"
        shape = f"[{rows}]" if spec.shape.rank == 1 else f"[{rows}, L]"
        assert f"| `{name}` | {spec.dtype.name} | {shape} |" in card()


def test_card_says_what_every_output_means():
    lines = card().splitlines()
    assert lines[0] == "# ranker"
    assert "| `click` | float32 | [B] | probability of `is_click` |" in lines
    assert "| `order` | float32 | [B] | probability of `code` in [4, 5] |" in lines
    assert "| `long_view` | float32 | [B] | probability of `play_time` >= 7 |" in lines
    assert "| `rating` | float32 | [B] | value of `stars` |" in lines


def test_card_names_what_stands_on_the_axes_of_the_representations():
    lines = card().splitlines()
    assert "| `bottom` | dense | representations, for analysis |" in lines
    assert "| `bottom` | float32 | [B, 4, 9, 8] | task, field, element |" in lines
    assert ("| `interests` | float32 | [R (with target attention B), 4, 2, 8] | "
            "task, behaviour, element |") in lines
    assert "- Behaviours: `exposed`, `liked`." in lines
    assert ("- Fields, in this order: `city`, `device`, `tab`, `age`, `exposed`, `liked`, `item`, "
            "`author`, `duration`.") in lines
    assert "Representations" not in model_card(small_schema(), "ranker", 0.0, 1e-6, (1,))


def test_card_shows_a_request_with_every_input():
    text = card().split("```json\n")[1].split("```")[0]
    request = json.loads(text)
    assert request["signature_name"] == "serving_default"
    assert set(request["instances"][0]) == set(dense_inputs(small_schema()))
    assert request["instances"][0]["exposed_author"] == ["a"]
    assert request["instances"][0]["exposed_length"] == 1
    assert request["instances"][0]["age"] == 0.0


def test_card_says_how_it_was_verified():
    assert "batch sizes 1, 2, 1000" in card()
    assert "2.5e-07 (allowed: 1e-06)" in card()
