"""Keras layers. They take plain arguments and know neither schema nor flags."""

from dtrn_tf.layers.aitm import AITM
from dtrn_tf.layers.conditional_layer_normalization import ConditionalLayerNormalization
from dtrn_tf.layers.cross_stitch import CrossStitch
from dtrn_tf.layers.customized_gate_control import CustomizedGateControl
from dtrn_tf.layers.feature_embedding import FeatureEmbedding
from dtrn_tf.layers.home import HoME
from dtrn_tf.layers.hypernetwork import Hypernetwork
from dtrn_tf.layers.mmoe import MMoE
from dtrn_tf.layers.normalized_experts import NormalizedExperts
from dtrn_tf.layers.numeric_embedding import NumericEmbedding
from dtrn_tf.layers.order_calibrator import OrderCalibrator
from dtrn_tf.layers.parallel_dense import ParallelDense
from dtrn_tf.layers.parallel_gate import ParallelGate
from dtrn_tf.layers.parallel_mlp import ParallelMLP
from dtrn_tf.layers.pepnet import PEPNet
from dtrn_tf.layers.ple import PLE
from dtrn_tf.layers.sequence_embedding import SequenceEmbedding
from dtrn_tf.layers.shared_bottom import SharedBottom
from dtrn_tf.layers.stem import STEM
from dtrn_tf.layers.task_interest import TaskInterest
from dtrn_tf.layers.task_products import TaskProducts
from dtrn_tf.layers.task_refinement import TaskRefinement
from dtrn_tf.layers.task_towers import TaskTowers

__all__ = [
    "AITM",
    "ConditionalLayerNormalization",
    "CrossStitch",
    "CustomizedGateControl",
    "FeatureEmbedding",
    "HoME",
    "Hypernetwork",
    "MMoE",
    "NormalizedExperts",
    "NumericEmbedding",
    "OrderCalibrator",
    "PEPNet",
    "PLE",
    "ParallelDense",
    "ParallelGate",
    "ParallelMLP",
    "STEM",
    "SequenceEmbedding",
    "SharedBottom",
    "TaskInterest",
    "TaskProducts",
    "TaskRefinement",
    "TaskTowers",
]
