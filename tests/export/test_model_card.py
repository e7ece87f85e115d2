import json

from helpers import small_schema

from export.model_card import model_card
from export.signatures import dense_inputs


def card():
    return model_card(small_schema(), "ranker", 2.5e-7, 1e-6, (1, 2, 1000))


def test_card_names_every_input_with_type_and_shape():
    for name, spec in dense_inputs(small_schema()).items():
        shape = "[B]" if spec.shape.rank == 1 else "[B, L]"
        assert f"| `{name}` | {spec.dtype.name} | {shape} |" in card()


def test_card_says_what_every_output_means():
    lines = card().splitlines()
    assert lines[0] == "# ranker"
    assert "| `click` | float32 | [B] | probability of `is_click` |" in lines
    assert "| `order` | float32 | [B] | probability of `code` in [4, 5] |" in lines
    assert "| `long_view` | float32 | [B] | probability of `play_time` >= 7 |" in lines
    assert "| `rating` | float32 | [B] | value of `stars` |" in lines


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
