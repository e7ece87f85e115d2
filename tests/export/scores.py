"""SavedModels that take no time to make: all that they know is one feature."""

import tensorflow as tf
from helpers import small_schema


class Scores(tf.Module):
    """Answers `examples` with an increasing or falling function of one feature for every task."""

    def __init__(self, tasks, factor, feature="age"):
        super().__init__()
        self.tasks, self.factor, self.feature = tasks, factor, feature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def examples(self, examples):
        spec = {self.feature: tf.io.FixedLenFeature([], tf.float32)}
        x = tf.io.parse_example(examples, spec)[self.feature]
        return {task: tf.sigmoid(self.factor * (x - 30.0) / 10.0) for task in self.tasks}


def write_scores(path, factor, tasks=small_schema().task_names, **kwargs):
    module = Scores(tasks, factor, **kwargs)
    tf.saved_model.save(module, str(path), signatures={"examples": module.examples})
    return str(path)
