import numpy as np
import pytest

import zoo
from zoo.products.composing import read_prompt, start_chord
from zoo.system.errors import UserError


def test_same_seed_gives_the_same_piece_and_another_seed_another(composer):
    first, again, other = (
        zoo.generate_music(composer, length=20, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.shape == (20, 88) and first.dtype == np.uint8
    assert set(np.unique(first)) == {0, 1}


def test_a_longer_piece_begins_with_the_shorter_one(composer):
    long = zoo.generate_music(composer, length=20)
    np.testing.assert_array_equal(long[:7], zoo.generate_music(composer, length=7))
    assert zoo.generate_music(composer, length=0).shape == (0, 88)


def test_at_temperature_zero_the_likelier_keys_sound(composer):
    prompt = (np.random.default_rng(3).random((5, 88)) < 0.1) * 1.0
    added = zoo.generate_music(composer, prompt, length=10, temperature=0.0, seed=4)
    piece = prompt
    for _ in range(10):
        logits = np.array(composer.model(piece[None].astype("float32")))[0, -1]
        piece = np.concatenate([piece, [logits > 0]])
    np.testing.assert_array_equal(added, piece[5:])
    assert 0 < added.mean() < 1


def test_without_a_prompt_it_starts_from_the_chord(composer):
    np.testing.assert_array_equal(21 + np.flatnonzero(start_chord()), [60, 64, 67, 72])
    np.testing.assert_array_equal(
        zoo.generate_music(composer, length=5),
        zoo.generate_music(composer, start_chord(), length=5),
    )


def test_draws_follow_the_sigmoid_of_the_logits(composer):
    *_, kernel, bias = composer.model.weights
    kernel.assign(np.zeros(kernel.shape))
    logits = np.linspace(-3.0, 2.0, 88)
    bias.assign(logits)
    frames = zoo.generate_music(composer, length=5000, temperature=0.7)
    expected = 1 / (1 + np.exp(-logits / 0.7))
    # Four standard deviations of a frequency are at most 4 sqrt(1/4 / 5,000).
    np.testing.assert_allclose(frames.mean(axis=0), expected, atol=0.029)
    # Keys are drawn each by itself.
    together = np.corrcoef(frames[:, 40], frames[:, 60])[0, 1]
    assert abs(together) < 0.06


def test_values_out_of_range_and_other_presets_are_refused(composer, untrained):
    for option in ({"length": -1}, {"temperature": -0.5}, {"seed": -1}):
        with pytest.raises(UserError, match=f"`{next(iter(option))}`"):
            zoo.generate_music(composer, **option)
    with pytest.raises(UserError, match=r"Received the shape \(3, 87\)"):
        zoo.generate_music(composer, np.zeros((3, 87)))
    with pytest.raises(UserError, match="of the task music. Received one of: char-lm"):
        zoo.generate_music(untrained)


def test_prompts_are_read_from_three_kinds_of_file(tmp_path):
    import scipy.io

    roll = np.zeros((6, 88), np.uint8)
    roll[:, 40] = roll[2:, 50] = 1
    zoo.write_midi(tmp_path / "a.mid", roll, frames_per_beat=2)
    np.savez(tmp_path / "a.npz", roll=roll)
    scipy.io.savemat(tmp_path / "a.mat", {"roll": roll})
    for name in ("a.mid", "a.npz", "a.mat"):
        np.testing.assert_array_equal(read_prompt(tmp_path / name, 2), roll)
    with pytest.raises(UserError, match="must be a file .mid, .midi, .npz or .mat"):
        read_prompt(tmp_path / "a.mp3", 2)
