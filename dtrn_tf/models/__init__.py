"""Models: the stages of `dtrn_tf.layers`, wired."""

from dtrn_tf.models.dtrn import DTRN

__all__ = ["DTRN"]
