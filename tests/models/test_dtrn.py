import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.layers import MMoE, PLE, SharedBottom, TaskInterest, TaskRefinement
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.losses import binary_crossentropy
from dtrn_tf.models import DTRN
from dtrn_tf.schema import REQUEST_INDEX, Schema

keras = tf.keras
WIDTH, TASKS = 5, ("click", "buy", "like")
SCHEMA = Schema.from_dict({
    "vocabularies": [{"name": "item", "kind": "hash", "size": 17},
                     {"name": "author", "kind": "hash", "size": 7},
                     {"name": "tab", "kind": "identity", "size": 3}],
    "features": [{"name": "item", "vocabulary": "item", "level": "candidate"},
                 {"name": "tab", "vocabulary": "tab", "level": "request"},
                 {"name": "age", "level": "request"}],
    "behaviors": [
        {"name": "liked", "max_length": 3, "features": [
            {"name": "liked_item", "vocabulary": "item"},
            {"name": "liked_author", "vocabulary": "author"}]},
        {"name": "bought", "max_length": 7, "features": [
            {"name": "bought_item", "vocabulary": "item"}]}],
    "tasks": [{"name": name, "label": f"is_{name}"} for name in TASKS]})


def _inputs(rows=4, seed=0):
    random = np.random.default_rng(seed)

    def ragged(vocabulary, lengths):
        size = SCHEMA.vocabulary(vocabulary).num_rows
        return tf.ragged.constant([random.integers(1, size, n).tolist() for n in lengths],
                                  dtype=tf.int32, ragged_rank=1)
    liked, bought = random.integers(0, 4, rows), random.integers(0, 8, rows)
    liked[0] = 0  # a user without likes
    return {"item": tf.constant(random.integers(1, 19, rows), tf.int32),
            "tab": tf.constant(random.integers(1, 5, rows), tf.int32),
            "age": tf.constant(random.normal(size=rows), tf.float32),
            "liked_item": ragged("item", liked), "liked_author": ragged("author", liked),
            "bought_item": ragged("item", bought)}


def _networks():
    return {"shared_bottom": SharedBottom((11,)), "mmoe": MMoE(3, 2, (11,)),
            "ple": PLE(3, 1, 2, (11,), num_levels=2)}


def _model(network="mmoe", interest=True, refinement=True, pooling="mean", **options):
    options = {"embedding_width": WIDTH, "wide": True, "tower_units": (6,), **options}
    return DTRN(SCHEMA, network=_networks()[network],
                interest=TaskInterest(3, pooling=pooling) if interest is True else interest,
                refinement=TaskRefinement(3, (4,)) if refinement is True else refinement, **options)


def _call(model, inputs):
    return {task: value.numpy() for task, value in model(inputs).items()}


ABLATIONS = [(True, True), (True, None), (None, True), (None, None)]


@pytest.mark.parametrize("pooling", ["mean", "target"])
@pytest.mark.parametrize("network", ["shared_bottom", "mmoe", "ple"])
def test_every_weight_gets_a_gradient(network, pooling):
    model = _model(network, pooling=pooling)
    inputs = _inputs(29)
    with tf.GradientTape() as tape:
        logits = model(inputs)
        # A distinct target per task, so that no gradient cancels.
        loss = tf.add_n([tf.reduce_mean(tf.square(logits[task] - number - 1.0))
                         for number, task in enumerate(TASKS)])
    weights = model.trainable_variables
    for weight, gradient in zip(weights, tape.gradient(loss, [table_variable(w) for w in weights])):
        assert gradient is not None, weight.name
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, weight.name


@pytest.mark.parametrize("interest, refinement", ABLATIONS)
@pytest.mark.parametrize("network", ["shared_bottom", "mmoe", "ple"])
def test_rows_do_not_depend_on_the_batch(network, interest, refinement):
    model, inputs = _model(network, interest, refinement), _inputs(7)
    whole = _call(model, inputs)
    for row in range(7):
        one = _call(model, {name: value[row:row + 1] for name, value in inputs.items()})
        for task in TASKS:
            np.testing.assert_allclose(one[task], whole[task][row:row + 1], atol=1e-5)


def test_ragged_and_padded_sequences_give_the_same():
    model, inputs = _model(), _inputs()
    padded = {name: value.to_tensor(shape=[None, 9]) if isinstance(value, tf.RaggedTensor)
              else value for name, value in inputs.items()}
    ragged, dense = _call(model, inputs), _call(model, padded)
    for task in TASKS:
        np.testing.assert_allclose(dense[task], ragged[task], atol=1e-5)


def _requests(seed=0):
    """Five candidates of four requests, and the same rows with a request of their own each."""
    index = [0, 2, 2, 2, 3]
    candidates, requests = _inputs(5, seed), _inputs(4, seed + 1)
    grouped = {**requests, "item": candidates["item"], REQUEST_INDEX: tf.constant(index)}
    rows = {name: tf.gather(value, index) for name, value in requests.items()}
    return grouped, {**rows, "item": candidates["item"]}


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("interest", [
    None, TaskInterest(1), TaskInterest(3, num_heads=5), TaskInterest(3, pooling="target")],
    ids=["average", "shared", "mean", "target"])
def test_requests_and_impressions_give_the_same_with_gradients(interest, wide):
    """One of the requests has no candidate."""
    model = _model(interest=interest and type(interest).from_config(interest.get_config()),
                   wide=wide)
    results = []
    for inputs in _requests():
        with tf.GradientTape() as tape:
            logits = model(inputs)
            loss = tf.add_n([tf.reduce_sum(tf.sin(logits[task]) * (k + 1.0))
                             for k, task in enumerate(TASKS)])
        gradients = tape.gradient(loss, [table_variable(v) for v in model.trainable_variables])
        results.append((list(logits.values()), [tf.convert_to_tensor(g) for g in gradients]))
    for one, other in zip(tf.nest.flatten(results[0]), tf.nest.flatten(results[1])):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert all(np.any(g) for g in results[1][1])


@pytest.mark.parametrize("lengths", [[0, 0], [2, 0]])
def test_empty_sequences_are_no_problem(lengths):
    inputs = _inputs(2)
    for name in ("liked_item", "liked_author"):
        inputs[name] = tf.ragged.constant([[2] * n for n in lengths], dtype=tf.int32, ragged_rank=1)
    for value in _call(_model(), inputs).values():
        assert np.isfinite(value).all() and value.shape == (2,)


def test_the_baseline_equals_its_definition():
    """Without TIM and TRM: mean of the sequence's tokens beside the fields, then the network."""
    model, inputs = _model("mmoe", None, None), _inputs(5)
    logits = _call(model, inputs)
    ids = {name: value.to_tensor() if isinstance(value, tf.RaggedTensor) else value
           for name, value in inputs.items() if name != "age"}
    embedded = model.embedding(ids)
    masks = [ids["liked_item"] != 0, ids["bought_item"] != 0]
    tokens = [model.sequence_embeddings[0]([embedded["liked_item"], embedded["liked_author"]],
                                           event_mask=masks[0]),
              model.sequence_embeddings[1]([embedded["bought_item"]], event_mask=masks[1])]
    means = [tf.stack([tf.reduce_sum(tokens[t][b, :n], 0) / max(n, 1)
                       for b, n in enumerate(inputs[name].row_lengths().numpy())])
             for t, name in enumerate(("liked_item", "bought_item"))]
    age = model.numeric_embedding(inputs["age"][:, None])[:, 0]
    bottom = tf.concat([embedded["tab"], age, embedded["item"], *means], axis=1)[:, None]
    wide = model.wide({name: ids[name] for name in ("item", "tab")})
    expected = model.towers(model.network(bottom)) + wide["item"] + wide["tab"]
    for k, task in enumerate(TASKS):
        np.testing.assert_allclose(logits[task], expected[:, k], atol=1e-5)


def test_one_shared_interest_is_the_task_agnostic_transformer():
    model = _model(interest=TaskInterest(1), refinement=None)
    assert all(np.isfinite(value).all() for value in _call(model, _inputs()).values())
    assert model.interest.num_tasks == 1


def test_a_task_has_no_gradient_on_the_refinement_of_others():
    model, inputs = _model("shared_bottom"), _inputs(13)
    model(inputs)
    weights = [w for w in model.refinement.trainable_variables if w.shape[0] == 3]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(inputs)["buy"] - 1.0))
    gradients = tape.gradient(loss, [table_variable(w) for w in weights])
    assert gradients
    for gradient in gradients:
        assert np.abs(gradient[1]).max() > 0
        assert not gradient.numpy()[[0, 2]].any()


def test_base_rates_move_the_first_logits_by_their_log_odds():
    rates = {"click": 0.4, "buy": 0.01, "like": 0.1}
    logits = {}
    for base_rates in (rates, None):
        keras.utils.set_random_seed(3)
        logits[base_rates is None] = _call(_model(base_rates=base_rates), _inputs(31))
    for task, rate in rates.items():
        np.testing.assert_allclose(logits[False][task] - logits[True][task],
                                   np.log(rate / (1 - rate)), rtol=1e-4)


def test_embedding_tables_are_all_that_is_looked_up_by_id():
    model = _model()
    model(_inputs())
    assert sorted(tuple(table.shape) for table in model.embedding_tables) == sorted(
        [(19, 5), (9, 5), (5, 5), (19, 3), (5, 3)])


@pytest.mark.parametrize("interest, refinement", ABLATIONS)
@pytest.mark.parametrize("network", ["shared_bottom", "mmoe", "ple"])
def test_saved_and_loaded_without_custom_objects(tmp_path, network, interest, refinement):
    model, inputs = _model(network, interest, refinement, base_rates=dict.fromkeys(TASKS, 0.2),
                           pooling="target"), _inputs()
    before = _call(model, inputs)
    model.save(str(tmp_path / "model.keras"))
    loaded = keras.models.load_model(str(tmp_path / "model.keras"))
    after = _call(loaded, inputs)
    for task in TASKS:
        np.testing.assert_array_equal(after[task], before[task])
    assert loaded.get_config()["schema"] == model.get_config()["schema"]


def test_compile_fit_predict():
    keras.utils.set_random_seed(1)
    model, inputs = _model(wide=False), _inputs(64)
    # A label that one row's item decides can be learnt.
    labels = {task: tf.cast(inputs["item"] % (k + 2) == 0, tf.float32)
              for k, task in enumerate(TASKS)}
    weights = {task: tf.ones(64) for task in TASKS}
    dataset = tf.data.Dataset.from_tensors((inputs, labels, weights)).repeat(150)
    model.compile(optimizer=keras.optimizers.Adam(0.02),
                  loss={task: binary_crossentropy for task in TASKS})
    history = model.fit(dataset, verbose=0, epochs=1)
    assert np.isfinite(history.history["loss"][-1])
    probabilities = model.predict(dataset.take(1).map(lambda x, y, w: x), verbose=0)
    for task in TASKS:
        correct = (probabilities[task].ravel() > 0) == labels[task].numpy()
        assert correct.mean() > 0.9, task


def test_a_graph_serves_every_batch_size():
    model = _model()
    model(_inputs())
    specs = {name: tf.RaggedTensorSpec([None, None], value.dtype, 1)
             if isinstance(value, tf.RaggedTensor) else tf.TensorSpec([None], value.dtype)
             for name, value in _inputs().items()}
    graph = tf.function(lambda inputs: model(inputs, training=False), input_signature=[specs])
    for rows in (1, 2, 13):
        inputs = _inputs(rows)
        expected = _call(model, inputs)
        for task, value in graph(inputs).items():
            np.testing.assert_allclose(value, expected[task], atol=1e-5)


def test_no_dropout_outside_training():
    model, inputs = _model(dropout=0.5), _inputs(8)
    first, second = _call(model, inputs), _call(model, inputs)
    for task in TASKS:
        np.testing.assert_array_equal(first[task], second[task])
    trained = [model(inputs, training=True)["click"].numpy() for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 0


def test_without_behaviours_and_numbers():
    schema = Schema.from_dict({
        "vocabularies": [{"name": "item", "kind": "hash", "size": 17}],
        "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
        "tasks": [{"name": "click", "label": "is_click"}]})
    model = DTRN(schema, network=SharedBottom((3,)), interest=TaskInterest(1))
    assert model({"item": tf.constant([2, 3])})["click"].shape == (2,)


# Lists of ids with and without weights, a vector on either side.
LISTS = Schema.from_dict({
    "vocabularies": [{"name": "item", "kind": "hash", "size": 17},
                     {"name": "tag", "kind": "hash", "size": 7}],
    "features": [
        {"name": "item", "vocabulary": "item", "level": "candidate"},
        {"name": "tags", "vocabulary": "tag", "level": "request", "multiple": True,
         "weights": "w"},
        {"name": "bag", "vocabulary": "item", "level": "request", "multiple": True,
         "pooling": "sum"},
        {"name": "age", "level": "request"},
        {"name": "user", "level": "request", "size": 11},
        {"name": "image", "level": "candidate", "size": 13}],
    "tasks": [{"name": name, "label": f"is_{name}"} for name in TASKS]})


def _list_model(**options):
    return DTRN(LISTS, network=_networks()["mmoe"], wide=True, embedding_width=WIDTH, **options)


def _list_inputs(rows=6, seed=3):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 4, rows)
    lengths[0] = 0

    def ragged(high, lengths):
        return tf.RaggedTensor.from_row_lengths(
            tf.constant(random.integers(1, high, sum(lengths)), tf.int32), lengths)
    tags = ragged(9, lengths)
    return {"item": tf.constant(random.integers(1, 19, rows), tf.int32), "tags": tags,
            "tags_weights": tags.with_values(tf.random.uniform([sum(lengths)], 0.5, 2.0, seed=1)),
            "bag": ragged(19, lengths[::-1]),
            "age": tf.constant(random.normal(size=rows), "float32"),
            "user": tf.constant(random.normal(size=(rows, 11)), "float32"),
            "image": tf.constant(random.normal(size=(rows, 13)), "float32")}


def test_lists_padded_or_ragged_and_vectors_reach_every_weight():
    model, inputs = _list_model(), _list_inputs(31)
    with tf.GradientTape() as tape:
        ragged = model(inputs)
        loss = tf.add_n([tf.reduce_sum(tf.square(x)) for x in ragged.values()])
    for weight, gradient in zip(model.trainable_weights,
                                tape.gradient(loss, model.trainable_weights)):
        assert np.any(tf.convert_to_tensor(gradient)), weight.name
    padded = {name: x.to_tensor() if isinstance(x, tf.RaggedTensor) else x
              for name, x in inputs.items()}
    for task, logits in _call(model, padded).items():
        np.testing.assert_allclose(logits, ragged[task], rtol=1e-5, atol=1e-6)


def test_a_field_of_lists_and_of_vectors_by_hand():
    model, inputs = _list_model(), _list_inputs()
    model.build()
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    embedded = model.embedding({n: inputs[n] for n in ("item", "tags", "tags_weights", "bag")})
    fields = model._fields(inputs, embedded).numpy()  # tags, bag, age, user, item, image
    tables = dict(zip(("item", "tag"), (w.numpy() for w in model.embedding.weights)))
    user, image = (layer.get_weights() for layer in model.vector_embeddings)
    for row in range(6):
        tags, shares, bag = (inputs[n][row].numpy() for n in ("tags", "tags_weights", "bag"))
        mean = shares @ tables["tag"][tags] / max(sum(shares), 1e-9)
        expected = [mean, tables["item"][bag].sum(axis=0), fields[row, 2],
                    inputs["user"][row].numpy() @ user[0] + user[1],
                    tables["item"][inputs["item"][row]],
                    inputs["image"][row].numpy() @ image[0] + image[1]]
        np.testing.assert_allclose(fields[row], expected, rtol=1e-4, atol=1e-5)


def test_lists_of_requests_equal_those_of_impressions():
    model, requests = _list_model(), _list_inputs(4)
    index = tf.constant([0, 0, 1, 3, 3, 3])
    candidates = _list_inputs(6, seed=5)
    requests |= {name: candidates[name] for name in ("item", "image")}
    impressions = {name: value if name in ("item", "image") else tf.gather(value, index)
                   for name, value in requests.items()}
    expected = _call(model, impressions)
    for task, logits in _call(model, {**requests, REQUEST_INDEX: index}).items():
        np.testing.assert_allclose(logits, expected[task], rtol=1e-5, atol=1e-6)


def test_a_model_of_lists_is_saved_and_loaded(tmp_path):
    model, inputs = _list_model(), _list_inputs()
    expected = _call(model, inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for task, logits in _call(loaded, inputs).items():
        np.testing.assert_array_equal(logits, expected[task])


def test_vectors_start_as_wide_as_numbers():
    """A field's spread must not grow with the number of its inputs."""
    schema = Schema.from_dict({**LISTS.to_dict(), "features": [
        {"name": "x", "level": "request"}, {"name": "v", "level": "request", "size": 600}]})
    model = DTRN(schema, network=_networks()["shared_bottom"], embedding_width=64)
    model.build()
    random = np.random.default_rng(0)
    fields = model._fields({"x": tf.constant(random.normal(size=500), "float32"),
                            "v": tf.constant(random.normal(size=(500, 600)), "float32")}, {})
    x, v = (float(tf.math.reduce_std(fields[:, i] - tf.reduce_mean(fields[:, i], 0)))
            for i in range(2))
    assert 0.8 < v / x < 1.25
