"""DTRN inside a tensorflow-recommenders model; that package needs Keras 2."""

import os

import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.layers import MMoE, TaskInterest, TaskRefinement
from dtrn_tf.models import DTRN
from dtrn_tf.schema import Schema

if os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    pytest.skip("Keras 3 runs here; `make legacy` runs this under Keras 2",
                allow_module_level=True)

SCHEMA = Schema.from_dict({
    "vocabularies": [{"name": "item", "kind": "identity", "size": 12}],
    "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
    "behaviors": [{"name": "liked", "max_length": 4, "features": [
        {"name": "liked_item", "vocabulary": "item"}]}],
    "tasks": [{"name": "click", "label": "is_click"}, {"name": "like", "label": "is_like"}]})


def _dataset(rows=256):
    random = np.random.default_rng(3)
    item = random.integers(2, 14, rows)
    liked = random.integers(2, 14, (rows, 4))
    labels = {"click": item % 2 == 0, "like": (liked == item[:, None]).any(1)}
    return tf.data.Dataset.from_tensor_slices((
        {"item": item.astype(np.int32), "liked_item": liked.astype(np.int32)},
        {task: label.astype(np.float32) for task, label in labels.items()})).batch(64)


def test_trains_inside_a_tfrs_model_with_a_ranking_task_per_task():
    import tensorflow_recommenders as tfrs

    class Recommender(tfrs.Model):
        def __init__(self):
            super().__init__()
            self.dtrn = DTRN(SCHEMA, network=MMoE(2, 3, (16,)), interest=TaskInterest(2),
                             refinement=TaskRefinement(2, (8,)))
            self.rankings = {
                task: tfrs.tasks.Ranking(
                    loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
                    metrics=[tf.keras.metrics.AUC(from_logits=True, name=f"{task}_auc")])
                for task in SCHEMA.task_names}

        def compute_loss(self, inputs, training=False):
            features, labels = inputs
            logits = self.dtrn(features, training=training)
            # tfrs follows Keras: the last axis is the outputs of one row.
            return tf.add_n([
                ranking(labels=labels[task][:, None], predictions=logits[task][:, None])
                for task, ranking in self.rankings.items()])

    tf.keras.utils.set_random_seed(2)
    model = Recommender()
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(0.03))
    before = model.evaluate(_dataset(), return_dict=True, verbose=0)
    model.fit(_dataset(), epochs=25, verbose=0)
    after = model.evaluate(_dataset(), return_dict=True, verbose=0)
    assert after["loss"] < 0.5 * before["loss"]
    # Over six seeds 0.73 to 0.88: how far 25 short epochs come hangs on the rounding.
    assert after["click_auc"] > 0.95 and after["like_auc"] > 0.7
