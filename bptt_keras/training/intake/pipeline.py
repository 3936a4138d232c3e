"""Input pipelines that end at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class PromptStrategy:
    """A distribution strategy whose data have an iterator that ends at once.

    The thread by which `tf.data` tunes a pipeline waits 10 ms, 20 ms, 40 ms and so on,
    up to a minute, and misses at times that its iterator is gone (TensorFlow 2.21):
    then the iterator's end, which is the end of `fit`, takes as long as the rest of the
    wait, up to as long again as all before. Without tuning, parallel parts of a
    pipeline take as many threads as there are cores.

    Args:
        strategy: `tf.distribute.Strategy`, which does all the rest.
        prepared: Function from each dataset to the one that is used in its place.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        prepared: Callable[[tf.data.Dataset], tf.data.Dataset],
    ):
        self._strategy = strategy
        self._prepared = prepared

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(
        self, dataset: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """As the strategy does it, with tuning off unless the dataset asks for it."""
        if isinstance(dataset, tf.data.Dataset):
            dataset = untuned(self._prepared(dataset))
        return self._strategy.experimental_distribute_dataset(dataset, *args, **kwargs)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without `tf.data`'s tuning, unless its options say something."""
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
