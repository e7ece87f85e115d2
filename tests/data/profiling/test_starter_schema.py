import numpy as np
import pytest
import yaml
from any_records import profile_of, record

from dtrn_tf.data.profiling.schema_text import schema_text
from dtrn_tf.data.profiling.starter_schema import guess_schema
from dtrn_tf.errors import DataError
from dtrn_tf.schema import (
    BehaviorSequence, CategoricalFeature, GroupKey, NumericFeature, RequestTime, Schema,
    SequenceFeature, Task, Vocabulary,
)

NOW = 1_650_000_000
RANDOM = np.random.default_rng(7)


def _records(number=300):
    """Records as teams have them: byte ids, label codes, padded lists, weights, times, vectors."""
    items = [f"sku{i}" for i in range(25)]
    for i in range(number):
        clicks = [items[k] for k in RANDOM.integers(0, 25, RANDOM.integers(0, 5))]
        orders = [items[k] for k in RANDOM.integers(0, 25, RANDOM.integers(0, 4))]
        tags = RANDOM.integers(5000, 5030, 1 + i % 3).tolist()
        row = {
            "item__id": items[i % 25], "user__id": f"u{i % 40}", "label": i % 6, "tab": i % 4,
            "city": ["rome", "oslo"][i % 2], "price": float(1 + i % 50),
            "stock__count": 10 ** (i % 6), "request__ts": NOW + i, "dense": [0.5, float(i), 1.0],
            "click__list": clicks, "click__times": [NOW - 9] * len(clicks),
            "order__list": orders + ["0"] * (4 - len(orders)),
            "tags": tags, "tags__weights": [0.5] * len(tags),
        }
        if i % 10 == 0:
            del row["city"]
        yield record(**row)


@pytest.fixture(scope="module")
def starter_and_profile(tmp_path_factory):
    profile = profile_of(tmp_path_factory.mktemp("any"), list(_records()))
    return guess_schema(profile), profile


def test_every_form_of_a_schema_is_proposed(starter_and_profile):
    schema = starter_and_profile[0].schema
    assert schema.layout == "impression"
    assert schema.tasks == (Task(name="label", label="label", at_least=1.0),)
    assert schema.group == GroupKey(name="user_id", feature="user-id", dtype="string")
    assert schema.time == RequestTime(name="request_ts", feature="request-ts")
    assert schema.features == (
        CategoricalFeature(name="city", vocabulary="city", level="request", default=""),
        CategoricalFeature(name="item_id", vocabulary="item_id", level="candidate",
                           feature="item-id"),
        NumericFeature(name="price", level="candidate"),
        NumericFeature(name="stock_count", level="request", feature="stock-count", dtype="int64",
                       transform="log1p"),
        CategoricalFeature(name="tab", vocabulary="tab", level="request"),
        NumericFeature(name="dense", level="request", size=3, transform="log1p"),
        CategoricalFeature(name="tags", vocabulary="tags", level="candidate", multiple=True,
                           weights="tags-weights"),
    )
    assert schema.behaviors == (
        BehaviorSequence(name="click", max_length=4, features=(
            SequenceFeature(name="click_list", vocabulary="item_id", feature="click-list"),
            SequenceFeature(name="click_times", vocabulary="gap", feature="click-times", gap=True),
        )),
        BehaviorSequence(name="order_list", max_length=4, padding="0", features=(
            SequenceFeature(name="order_list", vocabulary="item_id", feature="order-list"),)),
    )


def test_vocabularies_fit_what_was_seen(starter_and_profile):
    starter = starter_and_profile[0]
    assert {v.name: (v.kind, v.size, v.dtype) for v in starter.schema.vocabularies} == {
        "city": ("file", 2, "string"), "tab": ("identity", 4, "int64"),
        # Without the padding of the orders, which takes most of their places.
        "item_id": ("file", 25, "string"), "tags": ("file", 30, "int64"),
        "gap": ("log_bucket", 60, "int64")}
    assert set(starter.vocabularies["city"]) == {b"rome", b"oslo"}
    assert sorted(starter.vocabularies["tags"]) == list(range(5000, 5030))


def test_moments_are_taken_after_the_transform(starter_and_profile):
    moments = starter_and_profile[0].moments
    assert moments["price"].mean == pytest.approx(25.5)
    assert moments["stock_count"].mean == pytest.approx(
        np.mean([np.log1p(10.0 ** k) for k in range(6)]))
    assert moments["dense"].mean == pytest.approx(
        (np.log1p(0.5), np.log1p(np.arange(300)).mean(), np.log(2.0)))
    assert moments["dense"].std[0] == 1.0


def test_the_yaml_reads_back_and_its_comments_say_what_to_look_at(starter_and_profile):
    starter, profile = starter_and_profile
    text = schema_text(starter, profile)
    assert Schema.from_dict(yaml.safe_load(text)) == starter.schema
    assert "# Read: 300 records of 1 files; 0 bad records left out." in text
    for line in (
            "# ? absent from 10.00% of the records",
            "# 1..50, median 25",
            "# ? order: newest_last cannot be seen in the records (else newest_first)",
            "# few small codes, and named like feedback; 0: 16.67%, 1: 16.67%",
            "one_of: [5]", "'0' is frequent: taken as padding",
            "# ? a list of ids with as many floats, its weights"):
        assert line in text, line


def test_what_is_not_used_is_said(tmp_path):
    profile = profile_of(tmp_path, [
        record(click=i % 2, item=i % 7, is_vip=i % 2, event_time=NOW + i, constant=3,
               play_time=0.5, negative=[-0.5] * (i % 3)) for i in range(9)])
    starter = guess_schema(profile)
    assert starter.left_out == {
        "is_vip": "0 or 1 and named like a flag: a label (add a task) or an input (add a feature)?",
        "event_time": "a time, but no sequence has times",
        "constant": "the same value in every record",
        "play_time": "named like the time a user spent, known only afterwards: a label (add a task "
                     "with `at_least`)?",
        "negative": "lists of floats of different lengths"}
    assert "# - constant: the same value in every record" in schema_text(starter, profile)


@pytest.mark.parametrize("sides, order, why", [
    (lambda n: {"seen_times": [NOW + 60 * k for k in range(n)]}, "newest_last",
     "newest_last: seen_times rises along the lists"),
    (lambda n: {"seen_times": [NOW - 60 * k for k in range(n)]}, "newest_first",
     "newest_first: seen_times falls along the lists"),
    (lambda n: {"seen_gap": [7000 * (k + 1) for k in range(n)]}, "newest_first",
     "newest_first: seen_gap rises along the lists"),
    (lambda n: {"seen_gap": [90000 - 7000 * k for k in range(n)]}, "newest_last",
     "newest_last: seen_gap falls along the lists"),
    (lambda n: {"seen_gap": [7000 * (k % 3 + 1) for k in range(n)]}, "newest_last",
     "? order: newest_last cannot be seen in the records (else newest_first)"),
    (lambda n: {"seen_pages": [7000 * (k + 1) for k in range(n)]}, "newest_last",
     "? order: newest_last cannot be seen in the records (else newest_first)"),
])
def test_times_and_ages_tell_the_order(tmp_path, sides, order, why):
    starter = guess_schema(profile_of(tmp_path, [
        record(click=i % 2, now_ts=NOW + i, tab=i % 3, seen_item=list(range(i % 7)),
               **sides(i % 7)) for i in range(40)]))
    behavior, = starter.schema.behaviors
    assert behavior.order == order and behavior.features[0].name == "seen_item"
    assert starter.notes["behaviors", "seen"].startswith(why)


def test_ages_are_numbers_in_buckets(tmp_path):
    schema = guess_schema(profile_of(tmp_path, [
        record(click=i % 2, tab=i % 3, seen_skus=[f"s{k}" for k in range(i % 7)],
               seen_gap=[5000 * k for k in range(i % 7)]) for i in range(40)])).schema
    assert Vocabulary(name="seen_gap", kind="log_bucket", size=60) in schema.vocabularies
    assert [(f.name, f.vocabulary, f.gap) for f in schema.behaviors[0].features] == [
        ("seen_skus", "seen_skus", False), ("seen_gap", "seen_gap", False)]


def test_labels_in_lists_make_requests(tmp_path):
    records = [record(user_id=i % 5, hour=i % 24, clicked_item=[1, 2][:i % 3],
                      item=list(range(m := 1 + i % 4)), price=[0.5] * m, click=[i % 2] * m)
               for i in range(40)]
    schema = guess_schema(profile_of(tmp_path, records)).schema
    assert schema.layout == "request" and schema.task_names == ("click",)
    assert {f.name: f.level for f in schema.features} == {
        "hour": "request", "item": "candidate", "price": "candidate"}
    assert [b.name for b in schema.behaviors] == ["clicked_item"]
    assert schema.candidate_lists == ("item", "price", "click")


@pytest.mark.parametrize("values, kind, size", [
    ([5000 + i % 100 for i in range(20000)], "file", 100),
    # Every id once or twice: what comes will be new, so there is no use in a file.
    ([5000 + i // 2 * 1000 for i in range(300)] + list(range(9000, 9200)), "hash", 1024),
    ([i % 1000 for i in range(3000)], "identity", 1000),
    ([i % 1001 for i in range(3003)], "file", 1001),
    (["", "a", "b", "a", "b"] * 60, "file", 2),
    (["a\nb", "c"] * 150, "hash", 1024),
    ([b"\xff\xfe", b"ok"] * 150, "hash", 1024),
])
def test_kind_of_a_vocabulary(tmp_path, values, kind, size):
    profile = profile_of(tmp_path, [record(thing=value, click=i % 2)
                                    for i, value in enumerate(values)])
    vocabulary, = guess_schema(profile).schema.vocabularies
    assert (vocabulary.kind, vocabulary.size) == (kind, size)
    assert isinstance(vocabulary, Vocabulary)


def test_a_file_has_at_most_so_many_ids(tmp_path):
    profile = profile_of(tmp_path, [record(thing=5000 + i % 9, click=i % 2) for i in range(99)])
    assert guess_schema(profile, max_file_size=9).schema.vocabularies[0].kind == "file"
    assert guess_schema(profile, max_file_size=8).schema.vocabularies[0].kind == "hash"


@pytest.mark.parametrize("arguments, message", [
    ({}, "at least one feature should look like a label: .* Received: city: one string a record; "
         r"item: one int64 a record\. Name them with --labels=NAME,NAME"),
    ({"labels": ["clik"]}, r"--labels should name features of the records: \['city', 'item'\]\. "
                           r"Received: \['clik'\]"),
    ({"group": "user"}, r"--group should name features of the records: .* Received: \['user'\]"),
])
def test_mistakes_are_clear(tmp_path, arguments, message):
    profile = profile_of(tmp_path, [record(item=i % 5, city=f"c{i % 3}") for i in range(20)])
    with pytest.raises(DataError, match=message):
        guess_schema(profile, **arguments)


def test_records_are_needed_and_an_input(tmp_path):
    with pytest.raises(DataError, match="should hold at least one readable tf.train.Example. "
                                        "Received: 1 bad records"):
        guess_schema(profile_of(tmp_path, [b"\xff"]))
    with pytest.raises(DataError, match="at least one feature should be usable as an input"):
        guess_schema(profile_of(tmp_path, [record(click=i % 2) for i in range(4)]))
