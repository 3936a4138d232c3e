import dataclasses

import pytest

import bptt_keras as bk
from bptt_keras.tuning.clipping import CLIPPINGS
from zoo.fitting.optimizers import clipped
from zoo.recipes.clipping import KINDS
from zoo.tasks import TASKS

ADDING = TASKS["adding"]
RULES = {
    "variable-norm": bk.clipping.VariableNorm,
    "value": bk.clipping.Value,
    "agc": bk.clipping.AGC,
    "autoclip": bk.clipping.AutoClip,
    "zclip": bk.clipping.ZClip,
}


def optimizer_of(**changes):
    recipe = dataclasses.replace(ADDING.recipe_for(None), **changes)
    return clipped(ADDING.build_optimizer(recipe, updates=100), recipe)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"global-norm"}))
def test_a_kind_is_the_rule_of_its_name(kind):
    optimizer = optimizer_of(clipping=kind, clip=3.0)
    assert isinstance(optimizer, bk.clipping.ClippedOptimizer)
    assert isinstance(optimizer.clipping[0], RULES[kind])
    assert 3.0 in optimizer.clipping[0].get_config().values()
    # Else they would be clipped twice.
    assert optimizer.inner_optimizer.global_clipnorm is None


def test_the_global_norm_is_bounded_by_keras():
    assert optimizer_of(clip=0.5).global_clipnorm == 0.5


def test_no_clipping_is_none_for_every_kind():
    for kind in KINDS:
        optimizer = optimizer_of(clipping=kind, clip=None)
        assert not isinstance(optimizer, bk.clipping.ClippedOptimizer)
        assert optimizer.global_clipnorm is None


def test_the_thresholds_to_try_are_those_of_the_library():
    # Reading a recipe must not import TensorFlow, so they are written down twice.
    of_the_library = {kind: span for kind, span in CLIPPINGS.items() if span}
    of_the_zoo = {kind.replace("-", "_"): span for kind, (_, span) in KINDS.items()}
    assert of_the_zoo == of_the_library
