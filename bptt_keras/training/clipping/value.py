"""Clipping of each number of a gradient."""

import tensorflow as tf

from bptt_keras.arguments import real
from bptt_keras.training.clipping.base import Clipping, register


@register
class Value(Clipping):
    """Bounds each number of the gradients.

        g <- max(-bound, min(bound, g))     for each element

    The direction of the step changes. It is what `clipvalue` of Keras' optimizers
    does.

    Args:
        bound: Number > 0.

    Raises:
        TypeError: If `bound` is no number.
        ValueError: If it is not above 0.

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.Value(0.1)
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.Adam(), rule)

    Source: Mikolov, "Statistical language models based on neural networks" (2012),
    section 3.2.2.
    """

    def __init__(self, bound):
        self.bound = real("bound", bound, above=0)

    def clip(self, gradients, variables):
        """Bounds the gradients of one update; see `Clipping.clip`."""
        return [tf.clip_by_value(g, -self.bound, self.bound) for g in gradients]

    def get_config(self):
        """Arguments of the constructor."""
        return {"bound": self.bound}
