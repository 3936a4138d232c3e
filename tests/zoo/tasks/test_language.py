"""Models of characters and of words on the user's own text."""

import dataclasses

import numpy as np
import pytest

import zoo
from zoo.datasets import Text
from zoo.runs.fingerprint import digest
from zoo.system.errors import UserError
from zoo.tasks import TASKS
from zoo.texts.encoded import Characters
from zoo.texts.ngrams import kneser_ney

CHAR, WORD = TASKS["char-lm"], TASKS["word-lm"]
LINES = "the cat sat on the mat\nthe dog sat on the cat\n"


def own(tmp_path, content, task=CHAR, name="my.txt", **reading):
    (tmp_path / name).write_text(content, encoding="utf-8")
    return task.from_file(tmp_path / name, task.recipe_for(None), **reading)


@pytest.mark.parametrize("task", [CHAR, WORD])
def test_levels_have_interpolated_ngrams_once_computed(tmp_path, task):
    data = own(tmp_path, 50 * LINES, task)
    before = digest(data)
    levels = task.levels(data, None, "validation")
    found = levels[f"{task.ORDER}-gram (interpolated)"]
    ids, size = data.ids, data.vocabulary.size
    costs = -np.log(kneser_ney(ids["train"], ids["validation"], size, task.ORDER))
    assert found == pytest.approx(costs[1:].mean())
    assert found < levels["unigram (order 1)"] < levels["uniform (chance)"]
    assert task.levels(data, None, "validation") == levels
    # A checksum of the data is one of the text alone.
    assert digest(data) == before


def test_the_ngrams_of_a_long_text_say_how_much_of_it_they_count(tmp_path, monkeypatch):
    data = own(tmp_path, 50 * LINES)
    monkeypatch.setattr("zoo.tasks.language.COUNTED", 1_000)
    levels = CHAR.levels(data, None, "validation")
    assert "5-gram (interpolated, of 1,000 characters)" in levels


def test_rare_characters_of_a_large_vocabulary_are_unknown(tmp_path, capsys):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 60))) + "ab" * 500
    data = own(tmp_path, text, name="rare.txt", vocabulary=20)
    assert data.vocabulary.size == 21
    unknown = np.mean(data.ids["train"] == data.vocabulary.unknown_id)
    assert unknown == pytest.approx(42 / 954)
    assert (
        "rare.txt: its 20 most frequent characters are known, 4.40 %".replace(" %", "%")
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("task", [CHAR, WORD])
def test_a_text_with_few_known_units_is_refused(tmp_path, task):
    rng = np.random.default_rng(0)
    units = rng.permutation(np.repeat(np.arange(0x4E00, 0x4E00 + 5_000), 3))
    text = ("" if task is CHAR else " ").join(map(chr, units))
    with pytest.raises(
        UserError, match="% of my.txt are none of the 10[12] .* higher --vo"
    ):
        own(tmp_path, text, task, vocabulary=100)


def test_a_text_of_rare_words_alone_is_refused(tmp_path):
    with pytest.raises(UserError, match="none of the 2 words .* a lower --min-count"):
        own(tmp_path, " ".join(f"w{i}" for i in range(500)), WORD)


@pytest.mark.parametrize("vocabulary", [0, 10**6])
def test_a_vocabulary_out_of_range_is_refused(tmp_path, vocabulary):
    with pytest.raises(UserError, match="--vocabulary must be in"):
        own(tmp_path, 50 * LINES, vocabulary=vocabulary)


def test_a_text_of_words_is_cut_where_requested(tmp_path):
    data = own(tmp_path, 50 * LINES, WORD, validation="0.5")
    assert len(data.ids["train"]) == len(data.ids["validation"]) == 350
    (tmp_path / "other.txt").write_text(LINES)
    other = str(tmp_path / "other.txt")
    data = own(tmp_path, 50 * LINES, WORD, validation=other, test=other)
    assert {k: len(v) for k, v in data.ids.items()} == {
        "train": 700,
        "validation": 14,
        "test": 14,
    }


def test_too_long_a_text_for_words_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.tasks.word_lm.LONGEST", 1_000)
    with pytest.raises(UserError, match="reads at most 1,000. Train on a part"):
        own(tmp_path, 50 * LINES, WORD)


def test_a_batch_whose_logits_fill_the_memory_is_refused(tmp_path):
    data = own(tmp_path, 50 * LINES)
    recipe = dataclasses.replace(CHAR.recipe_for(None), batch_size=60_000, window=900)
    with pytest.raises(UserError, match="GiB for the logits of a batch"):
        CHAR.check(data, recipe)


@pytest.mark.parametrize("task", [CHAR, WORD])
def test_the_weights_of_a_recipe_are_counted_before_they_are_made(tmp_path, task):
    data = own(tmp_path, 50 * LINES, task)
    for changes in ({}, {"layers": 3}):
        recipe = dataclasses.replace(task.recipe_for(None), units=300, **changes)
        size = data.vocabulary.size
        counted = task.weights(recipe, size)
        counted += task.lookups(recipe, size)
        made = task.build_model(data, recipe).count_params()
        # Biases are not counted.
        assert 0.98 * made < counted < made
    large = dataclasses.replace(recipe, layers=1, units=3_500, embedding=5_000)
    with pytest.raises(UserError, match="weights; a preset holds at most 100,000,000"):
        task.check(data, large)


def test_a_set_of_one_character_is_refused(tmp_path):
    with pytest.raises(UserError, match="The validation part .* at least 2 characters"):
        own(tmp_path, "a" * 100, validation="0.01")
    with pytest.raises(UserError, match="The train part .* at least 2 characters"):
        CHAR.check(Characters.of(Text("x", "a", "bc")), CHAR.recipe_for(None))


@pytest.mark.parametrize("task", [CHAR, WORD])
def test_a_whole_text_can_be_scored(tmp_path, task):
    data = own(tmp_path, 50 * LINES, task)
    recipe = task.recipe_for(None)
    batches = task.held_out(data, recipe, "whole")
    scored = sum(np.size(y) for _, y in batches)
    whole = sum(map(len, data.ids.values()))
    assert whole - task.STREAMS <= scored < whole


@pytest.mark.parametrize("task", [CHAR, WORD])
@pytest.mark.parametrize("length", [150, 2_000, 20_000, 200_000])
def test_texts_of_any_length_fit_the_recipe_that_is_made_for_them(
    tmp_path, task, length
):
    data = own(tmp_path, (LINES * (1 + length // len(LINES)))[:length], task)
    recipe = task.fitted(data, task.recipe_for(None), frozenset())
    task.check(data, recipe)
    updates = recipe.epochs * task.updates_per_epoch(data, recipe)
    wanted = task.wanted(len(data.ids["train"]))
    assert recipe.epochs == 60 or 0.9 * wanted < updates < 1.5 * wanted
    assert recipe.patience is not None


def test_a_long_text_has_few_epochs_and_a_large_vocabulary_small_batches():
    rng = np.random.default_rng(0)
    text = Text.cut("x", "".join(map(chr, rng.integers(0x4E00, 0x8E00, 300_000))))
    data = Characters.of(text)
    recipe = CHAR.fitted(data, CHAR.recipe_for(None), frozenset())
    batch = 4 * recipe.batch_size * recipe.window * data.vocabulary.size
    assert batch <= 2**27 and recipe.epochs < 30
    many = {"train": np.zeros(10**8, np.int8), "validation": data.ids["validation"]}
    long = dataclasses.replace(data, ids=many)
    assert CHAR.fitted(long, CHAR.recipe_for(None), frozenset()).epochs == 1


def test_settings_of_the_user_are_kept(tmp_path):
    data = own(tmp_path, 50 * LINES)
    usual = CHAR.recipe_for(None)
    names = {"batch_size", "window", "epochs", "units", "dropout"}
    fitted = CHAR.fitted(data, usual, frozenset(names))
    for name in names:
        assert getattr(fitted, name) == getattr(usual, name)
    assert fitted.patience is None


def test_a_preset_encodes_and_decodes(untrained):
    ids = untrained.encode("to be\r\n?")
    assert untrained.decode(ids[:5]) == "to be"
    # Neither line breaks nor question marks are in its text; CRLF is one of them.
    assert list(ids[5:]) == [untrained.vocabulary.unknown_id] * 2
    knows = zoo.Preset(None, {"vocabulary": "\n\rab"}, {})
    assert list(knows.encode("a\r\nb")) == [2, 1, 0, 3]


def test_a_preset_saves_itself(untrained, tmp_path):
    untrained.save(tmp_path / "mine")
    loaded = zoo.from_preset(tmp_path / "mine")
    assert loaded.processing == untrained.processing
