"""The public names: a change of this list is a change for users."""

import dtrn_tf.layers
import dtrn_tf.models
import dtrn_tf.optimizers
import dtrn_tf.training

NAMES = {
    dtrn_tf.layers: [
        "AITM", "ConditionalLayerNormalization", "CrossStitch", "CustomizedGateControl",
        "FeatureEmbedding", "HoME", "Hypernetwork", "MMoE", "NormalizedExperts",
        "NumericEmbedding", "OrderCalibrator", "PEPNet", "PLE", "ParallelDense", "ParallelGate",
        "ParallelMLP", "STEM", "SequenceEmbedding", "SharedBottom", "TaskInterest", "TaskProducts",
        "TaskRefinement", "TaskTowers"],
    dtrn_tf.models: ["DTRN"],
    dtrn_tf.optimizers: [
        "LazyAdam", "OPTIMIZER_NAMES", "PairedOptimizer", "ROW_OPTIMIZER_NAMES", "RowOptimizer",
        "RowwiseAdagrad", "SCHEDULE_NAMES", "Schedule", "make_optimizer", "make_row_optimizer",
        "make_schedule"],
    dtrn_tf.training: [
        "RunDirectory", "Selection", "TrainStep", "Trainer", "load_bad_batch", "load_run",
        "make_strategy", "report_bad_records"],
}


def test_public_names():
    for module, names in NAMES.items():
        assert sorted(module.__all__) == sorted(names), module.__name__
        assert all(hasattr(module, name) for name in names)
