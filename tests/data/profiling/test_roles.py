import pytest
from any_records import profile_of, record

from dtrn_tf.data.profiling.name_hints import common_prefix, has_word, identifier, words
from dtrn_tf.data.profiling.roles import Guess, guess_roles

NOW = 1_650_000_000


def _role(tmp_path, name, values, **others):
    profile = profile_of(tmp_path, [
        record(**{name: value, **{key: some[i] for key, some in others.items()}})
        for i, value in enumerate(values)])
    return guess_roles(profile)[name]


@pytest.mark.parametrize("name, values, role, sure", [
    ("is_click", [0, 1, 1], "label", True),
    ("long_view", [1, 0, 0], "label", True),
    ("liked", [0.0, 1.0, 1.0], "label", True),
    ("label", [0, 4, 5], "label", True),
    ("rating", [1, 5, 3], "label", True),
    # The word is there, but so is one for a statistic or an id; or the values are none of labels.
    ("past_clicks", [0, 1, 1], "id", True),
    ("like_rate", [0.0, 1.0, 1.0], "number", True),
    ("click", [0, 1, 77], "id", True),
    ("order", [0, 3, 2], "id", True),
    ("rating", [1.5, 5.0, 3.0], "number", True),
    ("is_new_user", [0, 1, 0], "left_out", False),
    ("is_live_streamer", [-124, 1, 1], "id", True),
    ("play_time", [3.5, 0.0, 7.0], "left_out", False),
    ("watch_seconds", [3, 0, 7], "left_out", False),
    ("sample_weight", [1.5, 2.5, 3.5], "left_out", False),
    ("item_weight", [1.5, 2.5, 3.5], "number", True),
    ("timestamp", [NOW, NOW + 5, NOW + 9], "time", False),
    ("ts", [NOW * 1000, NOW * 1000, NOW * 1000 + 1], "time", False),
    ("timestamp", [5, 6, 7], "id", True),
    ("country", ["fr", "fr", "fr"], "left_out", True),
    ("request_id", [5, 6, 7], "left_out", True),
    ("tags", [[1, 2], [3], [4]], "list", True),
    ("price", [1.5, 2.5, 1e6], "number", True),
    ("price", [99, 12345, 7], "number", False),
    ("price", [9, 5, 7], "id", True),
    ("city", ["a", "b", "a"], "id", True),
    ("user_id", [7, 8, 7], "group", False),
    ("nothing", [[], [], []], "left_out", True),
])
def test_role_of_one_feature(tmp_path, name, values, role, sure):
    guess = _role(tmp_path, name, values)
    assert (guess.role, guess.sure) == (role, sure) and guess.why


def test_a_value_of_its_own_in_nearly_every_record_is_no_input(tmp_path):
    assert _role(tmp_path, "token", [f"t{i}" for i in range(120)]) == Guess(
        "left_out", "nearly every record has a value of its own")
    # Of few records that says nothing.
    assert _role(tmp_path, "token", [f"t{i}" for i in range(50)]).role == "id"


def test_the_group_key_is_the_user_id_with_the_most_values(tmp_path):
    profile = profile_of(tmp_path, [
        record(user=i, user_id=i % 2, member_id=i % 3, user_city_id=[1, 2], userId="x")
        for i in range(5)])
    roles = guess_roles(profile)
    assert [name for name, guess in roles.items() if guess.role == "group"] == ["member_id"]
    assert guess_roles(profile, group="user")["user"].role == "group"


def test_named_labels_are_the_only_ones(tmp_path):
    profile = profile_of(tmp_path, [record(is_click=i % 2, outcome=i % 3) for i in range(4)])
    roles = guess_roles(profile, labels=["outcome"])
    assert roles["outcome"] == Guess("label", "named by --labels")
    assert roles["is_click"] == Guess("left_out", "looks like a label that --labels does not name",
                                      False)


def test_words_of_names():
    assert words("userClick_ids2") == ["user", "click", "ids", "2"]
    assert has_word("a_b", frozenset("b")) and not has_word("ab", frozenset("b"))
    assert common_prefix(["long_viewed_item", "long_viewed_tag"]) == "long_viewed"
    assert identifier("616-weights") == "feature_616_weights"
