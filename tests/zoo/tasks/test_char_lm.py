import dataclasses

import keras
import numpy as np
import pytest

from zoo.datasets import Text
from zoo.system.errors import UserError
from zoo.tasks import TASKS, char_lm
from zoo.tasks.char_lm import Recipe
from zoo.texts.encoded import Characters

TASK = TASKS["char-lm"]
SMALL = Recipe(embedding=4, units=6, batch_size=2, window=5)


def test_task_and_its_data_sets_are_listed():
    from zoo.datasets import DATASETS

    assert set(TASK.DATASETS) <= set(DATASETS)


@pytest.mark.parametrize("name", [None, *TASK.RECIPES])
def test_default_recipes_clip(name):
    assert TASK.recipe_for(name).clip is not None


@pytest.mark.parametrize("layers", [1, 2])
def test_model_gives_logits_of_every_character(layers):
    model = char_lm.build_model(11, dataclasses.replace(SMALL, layers=layers))
    assert model(np.zeros((3, 7), "int32")).shape == (3, 7, 11)


def test_loss_is_in_nats_per_character():
    loss = TASK.build_loss()(np.zeros((2, 3), "int32"), np.zeros((2, 3, 7)))
    np.testing.assert_allclose(loss, np.log(7), rtol=1e-6)


def test_learning_rate_rises_from_a_tenth_and_falls_to_a_hundredth():
    recipe = dataclasses.replace(SMALL, learning_rate=0.5, clip=2.0)
    optimizer = TASK.build_optimizer(recipe, updates=1000)
    schedule = optimizer._learning_rate
    rates = np.array([float(schedule(i)) for i in (0, 10, 20, 510, 1000)])
    np.testing.assert_allclose(rates, [0.05, 0.275, 0.5, 0.2525, 0.005], rtol=1e-4)
    assert optimizer.global_clipnorm == 2.0


def test_weight_decay_does_not_change_biases():
    model = char_lm.build_model(11, SMALL)
    optimizer = TASK.build_optimizer(SMALL, updates=10)
    optimizer.build(model.trainable_variables)
    decayed = [optimizer._use_weight_decay(v) for v in model.trainable_variables]
    assert decayed == [v.name != "bias" for v in model.trainable_variables]
    assert isinstance(optimizer, keras.optimizers.AdamW)


@pytest.mark.parametrize(
    "name, value",
    [
        ("units", 0),
        ("epochs", -1),
        ("window", 0),
        ("dropout", 1.0),
        ("embedding_dropout", -0.1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("clip", 0.0),
        ("clip", float("inf")),
        ("weight_decay", -1.0),
        ("seed", -1),
    ],
)
def test_recipe_refuses_values_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        Recipe(**{name: value})


def test_text_shorter_than_a_window_per_stream_is_refused():
    TASK.check(Characters.of(Text("x", "a" * 11, "aa")), SMALL)
    with pytest.raises(UserError, match="Lower --batch-size or --window"):
        TASK.check(Characters.of(Text("x", "a" * 10, "aa")), SMALL)
