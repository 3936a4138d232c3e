"""The default training of classification."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import bptt_keras as bk
from zoo.cases.labelled import LabelledCases
from zoo.classification.recipe import ClassificationRecipe
from zoo.system.errors import UserError
from zoo.tasks import TASKS

TASK = TASKS["classification"]
NOTHING = frozenset()


def data(count=20, length=10, channels=1, tests=4):
    draw = np.random.default_rng(0)

    def cases(n):
        return [
            (draw.normal(9 * (i % 2), size=(length, channels)), "ab"[i % 2])
            for i in range(n)
        ]

    return LabelledCases.of("made", cases(count), cases(tests), "made")


@pytest.mark.parametrize(("count", "length"), [(10, 10), (50, 150), (3000, 20)])
def test_a_training_has_many_updates_whatever_the_size(count, length):
    cases = data(count, length)
    recipe = TASK.fitted(cases, TASK.recipe_for(None), NOTHING)
    per_epoch = TASK.updates_per_epoch(cases, recipe)
    assert len(TASK.training(cases, recipe)) == per_epoch >= 10
    assert 600 <= recipe.epochs * per_epoch <= 1200


def test_long_series_are_read_in_strides():
    recipe = TASK.fitted(data(length=1460), TASK.recipe_for(None), NOTHING)
    assert recipe.stride == 8
    assert TASK.fitted(data(), recipe, NOTHING).stride == 1


def test_given_values_are_kept():
    start = dataclasses.replace(
        TASK.recipe_for(None), batch_size=4, epochs=3, stride=2, passes=1
    )
    given = frozenset({"batch_size", "epochs", "stride", "passes", "scaling"})
    assert TASK.fitted(data(), start, given) == start


def test_few_cases_do_not_choose_an_epoch():
    recipe = ClassificationRecipe()
    assert TASK.selection(data(20), recipe) is None
    assert TASK.selection(data(600), recipe).name == "accuracy"


def test_neighbours_are_levels():
    levels = TASK.levels(data(), ClassificationRecipe(), "test")
    assert levels["1-NN (Euclidean)"] == 1.0
    assert levels["chance"] == levels["most frequent class"] == 0.5
    assert "1-NN (dynamic time warping)" in levels


def test_a_test_set_has_neighbours_in_the_validation_set():
    def case(value, label):
        return np.full((3, 1), float(value)), label

    cases = LabelledCases.of(
        "",
        [case(0, "a"), case(5, "b")],
        [case(9, "a")],
        "",
        validation=[case(9, "a")],
    )
    recipe = ClassificationRecipe()
    assert TASK.levels(cases, recipe, "test")["1-NN (Euclidean)"] == 1
    assert TASK.levels(cases, recipe, "validation")["1-NN (Euclidean)"] == 0


def test_balanced_weights_give_each_class_the_same_sum():
    cases = dataclasses.replace(
        data(), train=(data(4).train[0], np.array([0, 0, 0, 1], np.int32))
    )
    assert TASK.fit_options(cases, ClassificationRecipe()) == {}
    options = TASK.fit_options(cases, ClassificationRecipe(class_weight="balanced"))
    assert options["class_weight"] == pytest.approx({0: 4 / 6, 1: 2.0})


def test_without_a_test_set_validation_is_the_last_set():
    cases = data(tests=0)
    assert TASK.parts(cases) == ("validation",)
    assert TASK.parts(data()) == ("validation", "test")


def test_without_validation_the_training_set_is_shown():
    cases = data(count=6)
    assert len(cases.validation[0]) == 0
    recipe = ClassificationRecipe()
    x, y = TASK.held_out(cases, recipe, "validation")[0]
    assert len(y) == 6
    assert cases.describe()["validation_cases"] == 0
    levels = TASK.levels(cases, recipe, "validation")
    assert levels == {"most frequent class": 0.5, "chance": 0.5}


def test_data_that_cannot_be_learned_are_refused():
    one = LabelledCases.of("one", [(np.ones((3, 1)), "a")] * 5, [], "")
    with pytest.raises(UserError, match="one has one class only: 'a'"):
        TASK.check(one, ClassificationRecipe())
    with pytest.raises(UserError, match="30,000 numbers would be read at a time"):
        TASK.check(data(channels=3), ClassificationRecipe(stride=10_000))
    with pytest.raises(UserError, match="must reach all 5 timesteps"):
        TASK.check(data(), ClassificationRecipe(stride=2, window=4))


@pytest.mark.parametrize(
    "change",
    [
        {"stride": 0},
        {"filters": 0},
        {"passes": 0},
        {"convolutions": -1},
        {"pooling": "some"},
        {"scaling": "none"},
        {"directions": "back"},
        {"class_weight": "some"},
    ],
)
def test_a_recipe_out_of_range_is_refused(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        ClassificationRecipe(**change)


def test_own_series_are_read_and_compared_without_tensorflow(tmp_path):
    lines = "".join(f"{i},2,3:{'ab'[i % 2]}\n" for i in range(20))
    (tmp_path / "mine.ts").write_text(f"@data\n{lines}")
    program = f"""
import sys
from zoo.tasks import TASKS
task = TASKS["classification"]
data = task.from_file({str(tmp_path / "mine.ts")!r}, task.recipe_for(None))
recipe = task.fitted(data, task.recipe_for(None), frozenset())
task.check(data, recipe)
task.levels(data, recipe, "test")
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_balanced_weights_change_a_training_of_series_of_other_lengths():
    import keras

    draw = np.random.default_rng(0)
    cases = [(draw.normal(size=(4 + i % 3, 1)), "aaab"[i % 4]) for i in range(8)]
    data = LabelledCases.of("made", cases, cases, "", validation=cases)
    losses = []
    for weight in ("none", "balanced"):
        recipe = ClassificationRecipe(units=3, batch_size=8, class_weight=weight)
        keras.utils.set_random_seed(0)
        trainer = TASK.build_trainer(TASK.build_model(data, recipe), recipe)
        trainer.compile("sgd", TASK.build_loss(), jit_compile=False)
        options = TASK.fit_options(data, recipe)
        log = trainer.fit(TASK.training(data, recipe), verbose=0, **options)
        losses.append(log.history["loss"][0])
        if weight == "none":
            x, y = TASK.training(data, recipe)[0]
            keras.utils.set_random_seed(0)
            model = TASK.build_model(data, recipe)
            step = bk.PureStep(model)
            valid = np.arange(x["inputs"].shape[1]) < x["lengths"][:, None]
            logits, _ = step(x["inputs"], valid=valid)
            each = keras.losses.sparse_categorical_crossentropy(
                y, logits, from_logits=True
            ).numpy()
            weights = np.where(y == 0, 8 / (2 * 6), 8 / (2 * 2))
    assert losses[0] == pytest.approx(each.mean(), rel=1e-4)
    assert losses[1] == pytest.approx((weights * each).sum() / 8, rel=1e-4)
