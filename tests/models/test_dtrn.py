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


class OwnNetwork(keras.layers.Layer):
    """What a user may write: it takes a tensor [B, J, N]."""

    def build(self, input_shape):
        self.dense = keras.layers.Dense(6)
        self.dense.build((None, input_shape[-1]))
        super().build(input_shape)

    def call(self, inputs, training=None):
        return tf.reshape(self.dense(tf.reshape(inputs, [-1, inputs.shape[2]])),
                          [-1, inputs.shape[1], 6])

    def compute_output_shape(self, input_shape):
        return None, input_shape[1], 6


class OwnExperts(MMoE):
    """What a user may change: it looks at its inputs as at a tensor."""

    def call(self, inputs, training=None):
        return super().call(tf.tanh(inputs), training=training)


def _interest(kind):
    return {"average": None, "shared": TaskInterest(1), "mean": TaskInterest(3, num_heads=5),
            "target": TaskInterest(3, pooling="target")}[kind]


@pytest.mark.parametrize("interest", ["average", "shared", "mean", "target"])
@pytest.mark.parametrize("wide", [True, False])
def test_requests_and_impressions_give_the_same(interest, wide):
    _check_layouts(_model(interest=_interest(interest), wide=wide))


@pytest.mark.parametrize("refinement", ["field", "element", None])
@pytest.mark.parametrize("network, interest", [
    ("shared_bottom", "mean"), ("ple", "shared"), ("mmoe", "average"), ("ple", "target"),
    (OwnNetwork, "mean"), (OwnExperts, "mean")])
def test_networks_give_the_same_for_requests_and_impressions(network, interest, refinement):
    model = _model(interest=_interest(interest),
                   refinement=refinement and TaskRefinement(3, (4,), refinement))
    if network is OwnNetwork:
        model.network = OwnNetwork()
    elif network is OwnExperts:
        model.network = OwnExperts(3, 2, (11,))
    else:
        model.network = _networks()[network]
    _check_layouts(model)


def _check_layouts(model):
    """Values and gradients; one of the requests has no candidate."""
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
    age = model.numeric_embeddings["request"](inputs["age"][:, None])[:, 0]
    bottom = tf.concat([embedded["tab"], age, *means, embedded["item"]], axis=1)[:, None]
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
