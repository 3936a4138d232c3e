"""One battery for all tasks; to join it, add a row to `TASKS`."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest

import bptt_keras as bk
import zoo
from zoo.music.pieces import Rolls
from zoo.runs.evaluation import evaluate, measure
from zoo.runs.training import Run
from zoo.tasks import TASKS
from zoo.texts.encoded import Characters, WordText

EVERY = [(task.NAME, name) for task in TASKS.values() for name in task.DATASETS]
# Tasks whose first data set has no parts of its own, or takes long.
OF_PARTS = {
    "char-lm": "python-topics",
    "music": "jsb-chorales",
    "word-lm": "penn-treebank",
}
# It is about gradients that lead away, and clipping would only slow that down.
UNCLIPPED = ("influence-balancing",)
# Seconds go into reading them.
LARGE = ("mnist-rows", "mnist-pixels", "mnist-permuted", "nottingham", "wikitext-2")
# Small enough to be trained in seconds. What a task does not have is passed over.
SMALL = {
    "units": 6,
    "embedding": 4,
    "epochs": 2,
    "updates": 3,
    "steps": 12,
    "length": 64,
    "horizon": 3,
    "seed": 5,
}


def small_recipe(task, dataset, **changes):
    recipe = task.recipe_for(dataset)
    names = {field.name for field in dataclasses.fields(recipe)}
    values = {k: v for k, v in (SMALL | changes).items() if k in names}
    return dataclasses.replace(recipe, **values)


def few(data):
    """Of many digits and many words some; other data as they are."""
    if isinstance(data, WordText):
        text = data.text
        parts = {p: getattr(text, p)[:60_000] for p in ("train", "validation", "test")}
        return WordText.of(dataclasses.replace(text, **parts))
    if not hasattr(data, "images"):
        return data
    return dataclasses.replace(
        data,
        images={part: x[:200] for part, x in data.images.items()},
        labels={part: y[:200] for part, y in data.labels.items()},
    )


def fewer(data):
    """Data of which an epoch takes a second."""
    if isinstance(data, Characters):
        cut = {p: getattr(data.text, p)[:9000] for p in ("train", "validation")}
        return Characters.of(dataclasses.replace(data.text, **cut, test=""))
    if isinstance(data, Rolls):
        parts = {p: getattr(data, p)[:20] for p in ("train", "validation", "test")}
        return dataclasses.replace(data, **parts)
    return data


def first_batch(batches):
    x, y, *_ = batches[0] if hasattr(batches, "__getitem__") else next(iter(batches))
    inputs = x["inputs"] if isinstance(x, dict) else x
    return np.asarray(inputs), np.asarray(y)


@pytest.fixture(scope="module")
def loaded(shared_data, tmp_path_factory):
    """Data of a task, loaded once; `own_cache` is per test and too slow for it."""
    known = {}

    def load(name, dataset):
        if (name, dataset) not in known:
            task = TASKS[name]
            recipe = small_recipe(task, dataset)
            with_files = dataset not in _generated(task)
            place = str(shared_data) if with_files else None
            known[name, dataset] = few(task.load(dataset, place, recipe))
        return known[name, dataset]

    return load


def _generated(task):
    from zoo.datasets import DATASETS

    # MNIST's forms and the texts with files come from a folder.
    return {
        name
        for name in task.DATASETS
        if task.source_of(name) == "generated"
        and (name not in DATASETS or name == "python-topics")
    }


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_it_is(name):
    task = TASKS[name]
    assert task.SUMMARY and task.METRIC.name and task.__doc__
    assert set(task.REFERENCES) <= set(task.DATASETS)
    for dataset in (None, *task.DATASETS):
        recipe = task.recipe_for(dataset)
        assert recipe.clip is not None or name in UNCLIPPED
        assert task.recipe_from(dataclasses.asdict(recipe)) == recipe
    with pytest.raises(ValueError, match="must be"):
        task.recipe_from({"epochs": 0})


@pytest.mark.parametrize(("name", "dataset"), EVERY)
@pytest.mark.quick(2)
def test_data_model_and_loss_go_together(loaded, name, dataset):
    task, data = TASKS[name], loaded(name, dataset)
    recipe = small_recipe(task, dataset)
    task.check(data, recipe)
    json.dumps([data.describe(), task.processing(data, recipe)], allow_nan=False)
    assert data.describe()["name"] == data.name == dataset
    model = task.build_model(data, recipe)
    for batches in (
        task.training(data, recipe),
        *(task.held_out(data, recipe, part) for part in task.parts(data)),
    ):
        x, y = first_batch(batches)
        loss = task.build_loss()(y, model(x))
        assert math.isfinite(float(loss))


@pytest.mark.parametrize(("name", "dataset"), EVERY)
@pytest.mark.quick(2)
def test_levels_are_those_of_the_held_out_data(loaded, name, dataset):
    task, data = TASKS[name], loaded(name, dataset)
    levels = task.levels(data, small_recipe(task, dataset), task.parts(data)[-1])
    assert levels and all(math.isfinite(level) for level in levels.values())


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        pytest.param(*row, marks=pytest.mark.slow if row[1] in LARGE else ())
        for row in EVERY
    ],
)
def test_the_order_follows_from_seed_and_epoch(loaded, name, dataset):
    task, data = TASKS[name], loaded(name, dataset)
    recipe = small_recipe(task, dataset)
    first = [first_batch(task.training(data, recipe))[0] for _ in range(2)]
    np.testing.assert_array_equal(*first)
    later = []
    for _ in range(2):
        batches = task.training(data, recipe)
        if hasattr(batches, "on_epoch_end"):
            batches.on_epoch_end()
        later.append(first_batch(batches)[0])
    np.testing.assert_array_equal(*later)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.slow
def test_it_trains_and_its_preset_scores_the_same_again(loaded, name, tmp_path):
    task = TASKS[name]
    dataset = OF_PARTS.get(name, task.DATASETS[-1])
    data, recipe = loaded(name, dataset), small_recipe(task, dataset, epochs=1)
    preset = Run(task, data, recipe, tmp_path, jit=False).fit()
    metric = preset.metadata["metric"]
    part = task.parts(data)[-1]
    assert metric["part"] == part and metric["unit"] == task.METRIC.unit
    again = zoo.from_preset(tmp_path)
    assert evaluate(again, data, part) == pytest.approx(metric["value"], rel=1e-5)
    validation = measure(task, again.model, data, recipe, "validation")
    best = metric.get("validation", metric["value"])
    assert validation == pytest.approx(best, rel=1e-4)
    assert list((tmp_path / "checkpoint").glob("save-*.npz"))
    assert (tmp_path / "loss.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_killed_training_ends_with_bit_identical_weights(
    loaded, name, tmp_path, monkeypatch
):
    monkeypatch.setattr("zoo.runs.checkpoint.EVERY", 1)
    task = TASKS[name]
    dataset = OF_PARTS.get(name, task.DATASETS[0])
    data = fewer(loaded(name, dataset))
    recipe = small_recipe(task, dataset, epochs=3, dropout=0.5, batch_size=16)
    task.check(data, recipe)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    run = Run(task, data, recipe, whole, jit=False)
    run.fit()
    batches = len(run.recorder.grad_norms)
    # In the midst of the second epoch, and after it.
    for left in (batches // 2, batches // 3):
        with pytest.raises(Killed):
            _killed_after(left, Run(task, data, recipe, killed, jit=False))
    again = Run(task, data, recipe, killed, jit=False)
    again.fit()
    for a, b in zip(_variables(run), _variables(again), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("preset", "last"):
        kept = [zoo.from_preset(folder / name) for folder in (whole, killed)]
        for a, b in zip(*(preset.model.get_weights() for preset in kept), strict=True):
            np.testing.assert_array_equal(a, b)
        assert _untimed(kept[0].metadata) == _untimed(kept[1].metadata)
    files = [json.loads((f / "history.json").read_text()) for f in (whole, killed)]
    assert _untimed(files[0]) == _untimed(files[1])
    looks = [f / "looks.json" for f in (whole, killed)]
    assert looks[0].exists() == looks[1].exists()
    if looks[0].exists():
        epochs = [[k.epoch for k in bk.diagnostics.read_looks(f)] for f in looks]
        assert epochs[0] == epochs[1] == [0, 1, 2, 3]


class Killed(Exception):
    """What a callback raises in place of a kill."""


def _killed_after(batches, run):
    """Trains for a number of batches, of which the last is lost."""
    left, record = [batches], run.recorder.on_train_batch_end

    def on_train_batch_end(batch, logs=None):
        left[0] -= 1
        if not left[0]:
            raise Killed
        record(batch, logs)

    run.recorder.on_train_batch_end = on_train_batch_end
    run.fit()


def _variables(run):
    """Weights, seeds of dropout, and what the optimizer keeps."""
    every = [*run.model.variables, *run.trainer.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in every]


def _untimed(value):
    """A value of JSON without what depends on the clock, or on names of layers."""
    if isinstance(value, dict):
        times = ("timesteps_per_second", "wall_time_seconds", "weights_sha256")
        return {k: _untimed(v) for k, v in value.items() if k not in times}
    return value
