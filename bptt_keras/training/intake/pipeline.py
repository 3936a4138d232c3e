"""Input pipelines that end without delay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class PromptStrategy:
    """A distribution strategy whose data iterators end without delay.

    The thread in which `tf.data` tunes a pipeline waits 10 ms, 20 ms, 40 ms and so on,
    up to a minute, and sometimes misses that its iterator is gone (TensorFlow 2.21).
    Then the end of the iterator, and so of `fit`, lasts for the rest of the wait, which
    can be as long as everything before it. Without tuning, parallel stages of a
    pipeline use as many threads as there are cores.

    Args:
        strategy: `tf.distribute.Strategy`, which does everything else.
        prepared: Function from each dataset to the one that is used instead.
        followed: Function from each dataset to what is iterated in its place.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        prepared: Callable[[tf.data.Dataset], tf.data.Dataset],
        followed: Callable[[Any], Any] = lambda dataset: dataset,
    ):
        self._strategy = strategy
        self._prepared = prepared
        self._followed = followed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(
        self, dataset: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """As in the strategy, with tuning off unless the dataset's options set it."""
        if isinstance(dataset, tf.data.Dataset):
            dataset = untuned(self._prepared(dataset))
        return self._followed(
            self._strategy.experimental_distribute_dataset(dataset, *args, **kwargs)
        )


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without `tf.data`'s tuning, unless its options set that."""
    if dataset.options().autotune.enabled is not None:
        return dataset
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
