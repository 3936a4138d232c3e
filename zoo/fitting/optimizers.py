"""Optimizers for recipes."""

from __future__ import annotations

from typing import Any

import keras

import bptt_keras as bk
from zoo.recipes.recipe import Training


def adamw(recipe: Training, updates: int) -> keras.optimizers.Optimizer:
    """AdamW with warm-up and cosine decay, clipped by global norm.

    Args:
        recipe: The recipe.
        updates: Weight updates of the whole training.
    """
    warmup = max(1, updates // 50)
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10,
        decay_steps=max(1, updates - warmup),
        alpha=0.01,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=recipe.weight_decay, **keras_arguments(recipe)
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def keras_arguments(recipe: Training) -> dict[str, Any]:
    """The arguments by which Keras' optimizers do a recipe's clipping, if they can."""
    alone = recipe.clipping == "global-norm"
    return {"global_clipnorm": recipe.clip if alone else None}


def clipped(
    optimizer: keras.optimizers.Optimizer, recipe: Training
) -> keras.optimizers.Optimizer:
    """Wraps an optimizer in the clipping rule of a recipe, if Keras does not have it.

    Args:
        optimizer: An optimizer made with `keras_arguments`.
        recipe: The recipe.
    """
    if recipe.clip is None or recipe.clipping == "global-norm":
        return optimizer
    rule = {
        "variable-norm": bk.clipping.VariableNorm,
        "value": bk.clipping.Value,
        "agc": bk.clipping.AGC,
        "autoclip": bk.clipping.AutoClip,
        "zclip": bk.clipping.ZClip,
    }[recipe.clipping]
    return bk.clipping.ClippedOptimizer(optimizer, rule(recipe.clip))
