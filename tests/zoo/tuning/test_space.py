import dataclasses

import keras_tuner
import pytest

from zoo.recipes.clipping import KINDS
from zoo.recipes.ranges import NONE, Choices, Range
from zoo.system.errors import UserError
from zoo.tasks import TASKS
from zoo.tuning.space import space_of

ECHO = TASKS["delayed-echo"]


def space(options=None, vary=None, task=ECHO, dataset=None):
    return space_of(task, task.recipe_for(dataset), options or {}, vary)


def test_learning_rate_clipping_and_window_are_varied_around_the_recipe():
    found = space()
    assert found.ranges["learning_rate"] == Range(3e-3 / 5, 3e-3 * 5, True)
    assert found.ranges["window"] == Choices((8, 16, 32))
    assert found.ranges["clipping"].values == (NONE, *KINDS)
    assert found.recipe == ECHO.recipe_for(None)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("own", [True, False])
def test_every_task_has_a_space_whose_defaults_are_its_recipe(name, own):
    task = TASKS[name]
    dataset = None if own else task.DATASETS[-1]
    found = space(task=task, dataset=dataset)
    hp = keras_tuner.HyperParameters()
    found.declare(hp)
    values = keras_tuner.HyperParameters()
    for entry in hp.space:
        values.merge([entry])
        if values.is_active(entry):
            values.values[entry.name] = entry.default
    assert found.recipe_of(values.values) == task.recipe_for(dataset)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32:256:log", Range(32, 256, True, True)),
        ("32:256", Range(32, 256, False, True)),
        ("32,64", Choices((32, 64))),
    ],
)
def test_a_range_makes_any_field_vary(text, expected):
    assert space({"units": text}).ranges["units"] == expected


def test_one_value_is_fixed():
    found = space({"learning_rate": "0.01", "units": "16"})
    assert "learning_rate" not in found.ranges
    assert found.recipe.learning_rate == 0.01
    assert found.recipe.units == 16


def test_one_kind_of_clipping_leaves_its_threshold():
    found = space({"clipping": "agc"}, vary=["clipping"])
    assert found.ranges == {"clip_agc": Range(0.003, 0.3, True)}
    recipe = found.recipe_of({"clip_agc": 0.01})
    assert (recipe.clipping, recipe.clip) == ("agc", 0.01)


def test_the_threshold_of_one_kind_has_a_range_of_its_own():
    found = space({"clipping": "value", "clip": "0.1:0.2"}, vary=["clipping"])
    assert found.ranges == {"clip_value": Range(0.1, 0.2)}


def test_none_means_no_clipping():
    found = space({"clipping": "none,agc"})
    assert found.recipe_of({"clipping": NONE}).clip is None
    assert found.recipe_of({"clipping": "agc", "clip_agc": 0.02}).clip == 0.02
    assert set(found.ranges) == {"learning_rate", "clipping", "window", "clip_agc"}


def test_a_field_may_be_none_beside_numbers():
    found = space({"window": "none,16"})
    assert found.recipe_of({"window": NONE}).window is None


def test_vary_keeps_some():
    assert set(space(vary=["window"]).ranges) == {"window"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": "1:2"}, "has no speed"),
        ({"units": "64:32"}, "empty range: 64:32"),
        ({"units": "64:64"}, "empty range"),
        ({"units": "many"}, "must be an integer. Received: 'many'"),
        ({"learning_rate": "a:b"}, "must be a number"),
        ({"learning_rate": "0:1:log"}, "above 0 for a log range"),
        ({"learning_rate": "1:2:3"}, "must be VALUE, LOW:HIGH"),
        ({"units": "8,8"}, "has a value twice"),
        ({"dropout": "0:1.5"}, "In the range of dropout: `dropout` must be in"),
        ({"layer": "lstm,rnn"}, "In the range of layer: `layer` must be one of"),
        ({"clipping": "all"}, "`--clipping` must be of: none, global-norm"),
        ({"clip": "0.1:1"}, "`--clip` needs one kind of clipping"),
        ({"learning_rate": "1", "window": "8", "clipping": "none"}, "nothing to sea"),
    ],
)
def test_an_invalid_range_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        space(options)


def test_a_field_that_is_not_varied_cannot_be_kept():
    with pytest.raises(UserError, match="--units LOW:HIGH"):
        space(vary=["units"])


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_clipping_is_a_recipe(kind):
    low, high, _ = KINDS[kind][1]
    for clip in (low, high):
        recipe = dataclasses.replace(ECHO.recipe_for(None), clipping=kind, clip=clip)
        assert ECHO.recipe_from(dataclasses.asdict(recipe)) == recipe


def test_a_percentile_is_bounded():
    with pytest.raises(ValueError, match="`clip` must be in"):
        dataclasses.replace(ECHO.recipe_for(None), clipping="autoclip", clip=101.0)


def too_long(recipe):
    if recipe.window > 16:
        raise UserError("too long")


def test_choices_that_the_data_rule_out_are_not_tried(capsys):
    found = space().fitting(too_long, [])
    assert found.ranges["window"] == Choices((8, 16))
    assert "Not tried: window 32. too long" in capsys.readouterr().out
    with pytest.raises(UserError, match="too long"):
        space({"window": "16,32"}).fitting(too_long, ["window"])


def test_an_empty_space_is_refused():
    short = space(vary=["window"])

    def refuse(recipe):
        if recipe.window != 16:
            raise UserError("no")

    with pytest.raises(UserError, match="No value is left to vary"):
        short.fitting(refuse, [])
