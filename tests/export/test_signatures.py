import numpy as np
import pytest
import tensorflow as tf
from helpers import AUTHORS, ITEMS, small_row, small_schema, write_records

from dtrn_tf.data.examples import encode_example, parse_examples
from dtrn_tf.data.reader import read_records
from dtrn_tf.errors import SchemaError
from dtrn_tf.evaluation import predict
from dtrn_tf.schema import Task
from export.sample_records import sample_records
from export.dense_inputs import dense_inputs
from export.signatures import build_signatures, signature_tasks
from export.verification import dense_request

TASKS = ("click", "order", "long_view", "rating")


def call(signature, inputs):
    outputs = signature(**tensors(inputs))
    return {name: value.numpy() for name, value in outputs.items()}


def tensors(inputs):
    specs = dense_inputs(small_schema())
    return {name: tf.constant(value, specs[name].dtype if name in specs else tf.string)
            for name, value in inputs.items()}


def request(rows=5, **changes):
    """Dense inputs of some `small_row`s."""
    schema = small_schema()
    records = [encode_example(small_row(number), schema) for number in range(rows)]
    raw = parse_examples(tf.constant(records), schema, labels=False)
    return {**dense_request(raw, schema), **changes}


def test_all_signatures_equal_the_training_path_through_records(
        run_dir, run, signatures, tmp_path):
    model, preprocessing, schema = run
    records = sample_records(schema, run_dir, 97)
    path = write_records(tmp_path / "test" / "records.tfrecord", records)
    dataset = read_records([path], schema, preprocessing, batch_size=13)
    logits = predict(model, dataset).logits
    expected = {name: logits[name] if name == "rating" else 1 / (1 + np.exp(-logits[name]))
                for name in TASKS}
    dense = dense_request(parse_examples(tf.constant(records), schema, labels=False), schema)
    for name, signature in signatures.items():
        outputs = call(signature, {"examples": records} if name == "examples" else dense)
        if name == "bottom":
            continue
        assert set(outputs) == ({name} if name in TASKS else set(TASKS))
        for task, output in outputs.items():
            assert output.dtype == np.float32 and output.shape == (97,)
            np.testing.assert_allclose(output, expected[task], rtol=1e-6, atol=1e-6)
    # The records are not all alike, or equality would show nothing.
    assert all(np.std(expected[task]) > 0.01 for task in TASKS)


def test_dense_inputs_are_the_features_and_lengths_without_labels_and_group():
    assert {name: (spec.dtype.name, spec.shape.as_list())
            for name, spec in dense_inputs(small_schema()).items()} == {
        "item": ("int64", [None]), "author": ("string", [None]), "city": ("string", [None]),
        "device": ("int64", [None]), "tab": ("int64", [None]),
        "age": ("float32", [None]), "duration": ("float32", [None]),
        "exposed_item": ("int64", [None, None]), "exposed_author": ("string", [None, None]),
        "liked_item": ("int64", [None, None]),
        "exposed_length": ("int64", [None]), "liked_length": ("int64", [None]),
    }


def test_signatures_name_their_inputs_and_outputs(signatures):
    assert set(signatures) == {*TASKS, "serving_default", "examples", "bottom"}
    outputs = {"bottom": {"bottom", "interests"}} | {task: {task} for task in TASKS}
    for name, signature in signatures.items():
        args, kwargs = signature.structured_input_signature
        specs = {spec.name: spec for spec in (*args, *kwargs.values())}
        if name == "examples":
            assert specs == {"examples": tf.TensorSpec([None], tf.string, name="examples")}
        else:
            assert specs == dense_inputs(small_schema())
        assert set(signature.structured_outputs) == outputs.get(name, set(TASKS))


def test_examples_need_no_labels_and_no_group_key(signatures):
    schema = small_schema()
    whole = encode_example(small_row(3), schema)
    example = tf.train.Example.FromString(whole)
    for name in ("is_click", "code", "play_time", "stars", "row_weight", "user_id"):
        del example.features.feature[name]
    bare = call(signatures["examples"], {"examples": [example.SerializeToString()]})
    full = call(signatures["examples"], {"examples": [whole]})
    for task in TASKS:
        np.testing.assert_array_equal(bare[task], full[task])


def test_what_stands_behind_a_sequence_is_ignored(signatures):
    inputs = request(7)
    expected = call(signatures["serving_default"], inputs)
    behind = np.arange(inputs["exposed_item"].shape[1]) >= inputs["exposed_length"][:, None]
    inputs["exposed_item"] = np.where(behind, 109, inputs["exposed_item"])
    wider = np.full((7, 4), b"ann", object)
    inputs["exposed_author"] = np.concatenate(
        [np.where(behind, b"bob", inputs["exposed_author"]), wider], axis=1)
    inputs["exposed_item"] = np.concatenate(
        [inputs["exposed_item"], np.full((7, 4), -1)], axis=1)
    outputs = call(signatures["serving_default"], inputs)
    for task in TASKS:
        np.testing.assert_allclose(outputs[task], expected[task], rtol=1e-6, atol=1e-6)


def test_only_the_newest_positions_of_a_long_sequence_count(signatures):
    # liked: at most 2 positions.
    def outputs(sequence):
        return call(signatures["click"], request(
            1, liked_item=np.array([sequence]), liked_length=np.array([len(sequence)])))["click"]

    long = outputs([101, 103, 107, 109, 113])
    np.testing.assert_allclose(long, outputs([109, 113]), rtol=1e-6)
    np.testing.assert_allclose(long, outputs([7, 7, 7, 109, 113]), rtol=1e-6)
    assert abs(long - outputs([101, 103, 107, 109, 101])) > 1e-4


def test_unknown_ids_are_one_id_and_differ_from_known_ones(signatures):
    def output(**changes):
        return call(signatures["order"], request(1, **changes))["order"]

    unknown = output(item=[999], author=["nobody"], tab=[7])
    np.testing.assert_array_equal(unknown, output(item=[-5], author=["who"], tab=[-1]))
    for known in ({"item": ITEMS[:1]}, {"author": AUTHORS[:1]}, {"tab": [6]}):
        other = {"item": [999], "author": ["nobody"], "tab": [7], **known}
        assert abs(unknown - output(**other)) > 1e-5


def test_a_batch_of_any_size_including_none(signatures):
    for rows in (1, 2, 11):
        assert call(signatures["click"], request(rows))["click"].shape == (rows,)
    empty = {name: value[:0] for name, value in request(1).items()}
    assert call(signatures["click"], empty)["click"].shape == (0,)


def test_one_user_stands_once_for_all_candidates(signatures):
    candidates = ("item", "author", "duration")
    rows = request(7)
    for user in (0, 4):  # one without history, one with
        once = {name: value if name in candidates else value[user:user + 1]
                for name, value in rows.items()}
        repeated = {name: value if name in candidates else np.repeat(value[user:user + 1], 7, 0)
                    for name, value in rows.items()}
        for name in set(signatures) - {"examples"}:
            outputs, expected = call(signatures[name], once), call(signatures[name], repeated)
            for key, value in outputs.items():
                assert len(value) == (1 if key == "interests" else 7)
                np.testing.assert_allclose(np.broadcast_to(value, expected[key].shape),
                                           expected[key], rtol=1e-5, atol=1e-6)
    none = {name: value[:0] if name in candidates else value[:1] for name, value in rows.items()}
    assert call(signatures["click"], none)["click"].shape == (0,)


def test_representations_are_those_of_the_model(run, signatures):
    model, preprocessing, schema = run
    records = tf.constant([encode_example(small_row(number), schema) for number in range(5)])
    expected = model.representations(
        preprocessing(parse_examples(records, schema, labels=False)))
    found = call(signatures["bottom"], request(5))
    assert found["bottom"].shape == (5, 4, len(schema.field_names), 8)
    assert found["interests"].shape == (5, 4, 2, 8)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)


def test_rows_do_not_depend_on_each_other(signatures):
    together = call(signatures["serving_default"], request(7))
    alone = call(signatures["serving_default"],
                 {name: value[3:4] for name, value in request(7).items()})
    for task in TASKS:
        np.testing.assert_allclose(alone[task], together[task][3:4], rtol=1e-6, atol=1e-6)


def unchecked(signature, inputs):
    """Calls with tensors whose shape TensorFlow does not know, as a server may."""
    inputs = tensors(inputs)
    specs = {name: tf.TensorSpec(None, value.dtype) for name, value in inputs.items()}
    return tf.function(lambda values: signature(**values), input_signature=[specs])(inputs)


def test_a_wrong_rank_is_an_error(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
        unchecked(signatures["click"], request(2, age=[[1.0], [2.0]]))


def test_sequences_of_one_behaviour_padded_to_other_lengths_are_an_error(signatures):
    author = np.full((2, 9), b"ann", object)
    with pytest.raises(tf.errors.InvalidArgumentError,
                       match="exposed_author should be as wide as exposed_item. Received:] .9"):
        call(signatures["click"], request(2, exposed_author=author))


def test_inputs_of_unequal_batch_size_are_an_error(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(signatures["click"], request(3, tab=[1]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(signatures["click"], request(3, liked_length=[1]))


def test_a_schema_without_sequences(run):
    schema = small_schema(behaviors=())
    _, preprocessing, _ = run

    def model(inputs, training, tasks):
        return {task: inputs["age"] for task in TASKS}

    signatures = build_signatures(model, lambda raw: {"age": raw["age"]}, schema)
    inputs = {name: value for name, value in request(2).items() if name in dense_inputs(schema)}
    np.testing.assert_array_equal(call(signatures["rating"], inputs)["rating"], inputs["age"])


@pytest.mark.parametrize("name", ["serving_default", "examples", "bottom"])
def test_a_task_cannot_have_the_name_of_another_signature(name):
    schema = small_schema(tasks=(Task(name=name, label="is_click"),))
    with pytest.raises(SchemaError, match=rf"Received: \['{name}'\]\. Remedy: rename the task"):
        signature_tasks(schema)
