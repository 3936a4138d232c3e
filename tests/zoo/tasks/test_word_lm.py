import dataclasses
import json
import math

import keras
import numpy as np
import pytest

import bptt_keras as bk
import zoo
from zoo.datasets import Text
from zoo.products.kinds import product_of
from zoo.runs.training import Run
from zoo.system.errors import UserError
from zoo.tasks import TASKS
from zoo.tasks.word_lm import WordRecipe, build_model
from zoo.texts.encoded import WordText

TASK = TASKS["word-lm"]
TEXTS = product_of(TASK)
SMALL = WordRecipe(
    embedding=6, units=8, batch_size=4, window=10, epochs=2, dropout=0.5, seed=3
)
LINES = "the cat sat on the mat\nthe dog sat on the cat\n"
TEXT = Text("x", 60 * LINES, 10 * LINES, 5 * LINES)


def small(**changes):
    return dataclasses.replace(SMALL, **changes)


def run_of(folder, recipe):
    folder.mkdir(exist_ok=True)
    return Run(TASK, WordText.of(TEXT), recipe, folder, jit=False)


# --- Data ---------------------------------------------------------------------------


def test_words_and_ends_of_lines_are_the_ids():
    data = WordText.of(TEXT)
    # By frequency, and as they came: 240, 120 each, 60 each; <unk> never.
    assert data.vocabulary.words == (
        *("the", "cat", "sat", "on", "<eos>"),
        *("mat", "dog", "<unk>"),
    )
    assert {part: len(ids) for part, ids in data.ids.items()} == {
        "train": 60 * 14,
        "validation": 10 * 14,
        "test": 5 * 14,
    }
    assert data.vocabulary.decode(data.ids["test"]) == " " + TEXT.test
    assert data.describe()["train_words"] == 840
    assert data.describe()["vocabulary_size"] == 8


def test_own_text_is_cut_between_words_and_rare_ones_are_unknown(tmp_path):
    (tmp_path / "my.txt").write_text(30 * "word other\n" + "once\n")
    data = TASK.from_file(tmp_path / "my.txt", small(min_count=2))
    assert data.vocabulary.words == ("word", "other", "<eos>", "<unk>")
    assert {part: len(ids) for part, ids in data.ids.items()} == {
        "train": 82,
        "validation": 10,
    }
    assert data.describe()["unknown_validation_words"] == 1


def test_levels_are_those_of_words():
    levels = TASK.levels(WordText.of(TEXT), SMALL, "validation")
    assert levels["uniform (chance)"] == pytest.approx(math.log(8))
    assert levels["unigram (order 1)"] < levels["uniform (chance)"]


def test_a_text_shorter_than_a_window_a_stream_is_refused():
    with pytest.raises(UserError, match="its 840 training words in 4 streams"):
        TASK.check(WordText.of(TEXT), small(window=210))


def test_references_are_the_published_perplexities():
    for dataset, values in (
        ("penn-treebank", [78.93, 57.3]),
        ("wikitext-2", [65.8]),
    ):
        found = TASK.references_for(dataset).values()
        np.testing.assert_allclose(np.exp(list(found)), values)


# --- Model --------------------------------------------------------------------------


def test_the_model_has_the_layers_of_the_recipe_and_one_matrix_of_words():
    recipe = small(layers=3, weight_dropout=0.5, alpha=2.0, beta=1.0)
    model = build_model(8, recipe)
    assert [type(layer).__name__ for layer in model.layers] == [
        "WordEmbedding",
        "SpatialDropout1D",
        "WeightDropLSTM",
        "SpatialDropout1D",
        "WeightDropLSTM",
        "SpatialDropout1D",
        "WeightDropLSTM",
        "ActivationRegularization",
        "SpatialDropout1D",
        "ActivationRegularization",
        "TiedLogits",
    ]
    assert [layer.units for layer in model.layers[2:7:2]] == [8, 8, 6]
    assert [w.shape for w in model.trainable_weights].count((8, 6)) == 1
    assert model(np.zeros((2, 5), int)).shape == (2, 5, 8)


def test_dropout_is_locked_over_a_window_and_differs_between_rows():
    model = build_model(8, SMALL)
    locked = [x for x in model.layers if isinstance(x, keras.layers.SpatialDropout1D)]
    assert [layer.rate for layer in locked] == [0.3, 0.2, 0.5]
    ones = np.ones((30, 20, 6), "float32")
    masks = np.array(locked[-1](ones, training=True))
    np.testing.assert_array_equal(masks, np.repeat(masks[:, :1], 20, axis=1))
    assert len(np.unique(masks[:, 0], axis=0)) > 10


def test_a_recipe_without_extras_is_a_plain_stack():
    recipe = small(
        layer="gru", dropout=0, input_dropout=0, hidden_dropout=0, weight_dropout=0
    )
    names = [type(layer).__name__ for layer in build_model(8, recipe).layers]
    assert names == ["WordEmbedding", "GRU", "GRU", "TiedLogits"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("word_dropout", 1.0),
        ("input_dropout", -0.1),
        ("alpha", -1.0),
        ("beta", float("inf")),
        ("window_deviation", float("nan")),
        ("average_after", 0),
        ("embedding", 0),
        ("min_count", 0),
    ],
)
def test_recipe_refuses_values_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        WordRecipe(**{name: value})


def test_weight_dropout_needs_an_lstm():
    with pytest.raises(ValueError, match="`weight_dropout` must be 0 with layer=gru"):
        WordRecipe(layer="gru", weight_dropout=0.5)


def test_windows_vary_around_the_recipes_and_batches_hold_several():
    recipe = small(window_deviation=2.0)
    schedule = TASK.build_trainer(build_model(8, recipe), recipe).truncation
    assert isinstance(schedule, bk.truncation.VariableWindow)
    assert (schedule.window, schedule.deviation) == (10, 2.0)
    inputs, _ = next(iter(TASK.training(WordText.of(TEXT), recipe)))
    assert inputs["inputs"].shape == (4, 100)


# --- Training -----------------------------------------------------------------------


@pytest.fixture
def unwatched(monkeypatch):
    """Runs that are not diagnosed, which takes most of their time."""
    monkeypatch.setattr(TASK.__class__, "watched", lambda *_: None)


@pytest.mark.slow
def test_perplexity_is_beside_the_loss(tmp_path, unwatched):
    run = run_of(tmp_path, SMALL)
    preset = run.fit()
    TEXTS.conclude(run.out, run.data, preset)
    history = json.loads((tmp_path / "history.json").read_text())
    np.testing.assert_allclose(history["val_ppl"], np.exp(history["val_loss"]))
    assert "| nats/word | perplexity |" in (tmp_path / "preset/README.md").read_text()
    assert (tmp_path / "sample.txt").read_text().startswith("\n")
    assert preset.vocabulary.words == WordText.of(TEXT).vocabulary.words


def test_a_preset_writes_words_that_it_knows():
    data = WordText.of(TEXT)
    model = TASK.build_model(data, SMALL)
    preset = zoo.Preset(model, TASK.processing(data, SMALL), metadata={})
    text = zoo.generate(preset, "the cat", length=12)
    assert len(preset.vocabulary.encode(text)) == 12 and "<unk>" not in text
    assert zoo.generate(preset, "the cat", length=5) == preset.vocabulary.decode(
        preset.vocabulary.encode(text)[:5]
    )
    with pytest.raises(UserError, match="has words that are not .*: 'cow'. It knows"):
        zoo.generate(preset, "the cow", length=1)
    with pytest.raises(UserError, match="at least one word. Received: ' '"):
        zoo.generate(preset, " ", length=1)
    other = dataclasses.replace(TEXT, validation="the cow sat\n")
    remark = TEXTS.remarks(WordText.of(other), preset)
    assert remark[0].startswith("25.00% of the words are unknown")


FULL = {
    "weight_dropout": 0.3,
    "alpha": 2.0,
    "beta": 1.0,
    "window_deviation": 2.0,
    "average_after": 1,
    # Too large a step: validation soon stops improving.
    "learning_rate": 30.0,
    "epochs": 6,
}


@pytest.mark.slow
def test_killed_training_with_averaging_ends_like_uninterrupted_training(
    tmp_path, unwatched
):
    recipe = small(**FULL)
    whole = run_of(tmp_path / "whole", recipe)
    expected = whole.fit()
    assert whole.trainer.optimizer.started
    # Before the averages start, and after.
    for epoch in (1, 4):
        run = run_of(tmp_path / "halved", recipe)
        begin = run.recorder.on_epoch_begin

        def killed(at, logs=None, epoch=epoch, begin=begin):
            if at == epoch:
                raise KeyboardInterrupt
            begin(at, logs)

        run.recorder.on_epoch_begin = killed
        with pytest.raises(KeyboardInterrupt):
            run.fit()
    last = run_of(tmp_path / "halved", recipe)
    preset = last.fit()
    pairs = [
        *zip(preset.model.weights, expected.model.weights, strict=True),
        *zip(
            last.trainer.optimizer.averages,
            whole.trainer.optimizer.averages,
            strict=True,
        ),
    ]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert preset.metadata["metric"]["epoch"] == expected.metadata["metric"]["epoch"]


@pytest.mark.slow
def test_the_preset_has_the_averages_that_were_validated(tmp_path, unwatched):
    run = run_of(tmp_path, small(**FULL))
    saved = []
    save = run.keeper.save

    def note(epoch, value):
        optimizer = run.trainer.optimizer
        saved.append((epoch, optimizer.started and float(optimizer.count) > 0))
        save(epoch, value)

    run.keeper.save = note
    preset = run.fit()
    metric = preset.metadata["metric"]
    assert (metric["epoch"], True) == saved[-1]
    found = zoo.evaluate(preset, run.data, "validation")
    assert found == pytest.approx(metric["validation"], rel=1e-4)
