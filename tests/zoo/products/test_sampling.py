import dataclasses

import numpy as np
import pytest

import zoo
from zoo.system.errors import UserError


@pytest.fixture
def decided(untrained):
    """The untrained preset, made to depend on its inputs."""
    for weight in untrained.model.weights:
        weight.assign(2.0 * np.random.default_rng(0).normal(size=weight.shape))
    return untrained


def test_same_seed_gives_the_same_text_and_another_seed_another(decided):
    first, again, other = (
        zoo.generate(decided, "to be", length=50, temperature=2.0, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == 50


def test_longer_text_begins_with_the_shorter_one(decided):
    long = zoo.generate(decided, "to be", length=60)
    assert long.startswith(zoo.generate(decided, "to be", length=20))


def test_greedy_text_equals_the_likeliest_characters_of_the_whole_model(decided):
    text = "to be"
    sampled = zoo.generate(decided, text, length=30, temperature=0.0, seed=5)
    for _ in range(30):
        ids = decided.vocabulary.encode(text)[None]
        logits = np.array(decided.model(ids))[0, -1]
        text += decided.vocabulary.decode([logits[:-1].argmax()])
    assert text == "to be" + sampled


def test_draws_follow_the_softmax_of_the_logits(decided):
    vocabulary = decided.vocabulary
    *_, kernel, bias = decided.model.weights
    kernel.assign(np.zeros(kernel.shape))
    logits = np.linspace(-2.0, 1.0, vocabulary.size)
    bias.assign(logits)
    p = np.exp(logits[:-1] / 0.7)
    p /= p.sum()
    drawn = vocabulary.encode(
        zoo.generate(decided, "t", length=20_000, temperature=0.7)
    )
    found = np.bincount(drawn, minlength=vocabulary.size) / 20_000
    # Three standard deviations of a frequency are at most 3 sqrt(1/4 / 20,000).
    np.testing.assert_allclose(found[:-1], p, atol=0.011)


def test_unknown_character_is_never_drawn(decided):
    *_, bias = decided.model.weights
    bias.assign(
        np.where(np.arange(decided.vocabulary.size) == bias.shape[0] - 1, 99, 0)
    )
    for temperature in (0.0, 1.0, 100.0):
        text = zoo.generate(decided, "to", length=50, temperature=temperature)
        assert "\N{REPLACEMENT CHARACTER}" not in text


def test_length_zero_gives_no_text(decided):
    assert zoo.generate(decided, "to be", length=0) == ""


def test_unknown_characters_of_the_prompt_are_named(decided):
    with pytest.raises(UserError, match=r"not in this model's vocabulary: '!' 'é'. It"):
        zoo.generate(decided, "to bé!!")


@pytest.mark.parametrize(
    "option, value",
    [
        ("prompt", ""),
        ("length", -1),
        ("temperature", -0.5),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_values_out_of_range_are_refused(decided, option, value):
    options = {"prompt": "to", option: value}
    with pytest.raises(UserError, match=f"`{option}`"):
        zoo.generate(decided, **options)


def test_line_endings_of_the_prompt_are_those_of_texts(decided):
    with pytest.raises(UserError, match=r"vocabulary: '\\n'. It"):
        zoo.generate(decided, "to\r\nbe")


def test_half_a_character_in_the_prompt_is_named(decided):
    with pytest.raises(UserError, match=r"vocabulary: '\\udcff'. It"):
        zoo.generate(decided, "to be\udcff")


def test_some_of_many_unknown_characters_are_named(decided):
    with pytest.raises(UserError, match="and 10 others. It knows") as error:
        zoo.generate(decided, "".join(map(chr, range(0x4E50, 0x4E64))))
    assert len(str(error.value)) < 300


def test_what_was_compiled_is_used_again(decided):
    preset = dataclasses.replace(decided)
    texts = [zoo.generate(preset, prompt, length=4) for prompt in ("to", "be", "to be")]
    assert texts == [zoo.generate(preset, p, length=4) for p in ("to", "be", "to be")]
    (program,) = preset.programs.values()
    assert program.experimental_get_tracing_count() == 2
