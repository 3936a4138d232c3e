"""Continues a text, or any sequence, step by step from the carried state."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from zoo.store.preset import Preset
from zoo.system.errors import UserError

SHOWN = 10  # unknown characters or words that an error names


def generate(
    preset: Preset,
    prompt: str,
    *,
    length: int = 500,
    temperature: float = 1.0,
    seed: int = 0,
) -> str:
    """Samples a continuation of a text.

        c_t ~ softmax(logits_t / temperature),  logits_t = model(c_<t)

    where c are characters or words, depending on the model. The model reads the prompt
    in one call and every later character or word in one step from the carried state, so
    the cost of a step does not grow. The unknown id is never drawn.

    Args:
        preset: A preset of a text model.
        prompt: The text to continue, at least one character or word. Line endings are
            read as in `Preset.encode`.
        length: Number of characters or words to add, >= 0.
        temperature: >= 0. Below 1 likely ones become likelier; 0 always takes the
            likeliest, whatever the seed.
        seed: Non-negative integer below 2**63. The same seed gives the same text.

    Returns:
        The continuation, without the prompt: `length` characters, or as many words,
        each after a space; the end of a line is a word.

    Raises:
        UserError: If a value is out of range, or the prompt has characters or words
            that the model does not know.

    Example:
        import zoo
        from zoo.datasets import Vocabulary
        from zoo.tasks.char_lm import Recipe, build_model

        vocabulary = Vocabulary.of("to be or not to be")
        untrained = build_model(vocabulary.size, Recipe(units=8))
        processing = {"vocabulary": "".join(vocabulary.characters)}
        preset = zoo.Preset(untrained, processing, metadata={})
        assert len(zoo.generate(preset, "to ", length=10, temperature=0.8)) == 10
    """
    check_options(length=length, temperature=temperature, seed=seed)
    prompt = preset.with_known_lines(prompt)
    check_prompt(preset, prompt)
    sampled = sample(
        preset,
        preset.vocabulary.encode(prompt),
        _draw_other_than(preset.vocabulary.unknown_id),
        length=length,
        temperature=temperature,
        seed=seed,
    )
    return preset.vocabulary.decode(sampled)


@functools.lru_cache(maxsize=16)
def _draw_other_than(unknown_id: int) -> Callable:
    """Draws ids, for `sample`; the same function for the same argument."""

    def draw(logits: Any, noise: Any, temperature: Any) -> Any:
        known = tf.range(tf.shape(logits)[-1]) != unknown_id
        logits = tf.where(known, logits, -float("inf"))
        # The argmax of logits + temperature * Gumbel noise is a draw from
        # softmax(logits / temperature); with temperature 0 it is the likeliest.
        gumbel = -tf.math.log(-tf.math.log(noise))
        return tf.argmax(logits + temperature * gumbel, -1, tf.int32)

    return draw


def check_options(*, length: int, temperature: float, seed: int) -> None:
    """Raises `UserError` for a `length`, `temperature` or `seed` out of range."""
    if length < 0:
        raise UserError(f"`length` must be at least 0. Received: length={length}")
    if not 0.0 <= temperature < float("inf"):
        raise UserError(
            "`temperature` must be a finite number, 0 (always the likeliest) or above. "
            f"Received: temperature={temperature}"
        )
    if not 0 <= seed < 2**63:
        raise UserError(f"`seed` must be in [0, 2**63). Received: seed={seed}")


def check_prompt(preset: Preset, prompt: str) -> None:
    """Raises `UserError` for a prompt that is empty or not all in the vocabulary."""
    vocabulary = preset.vocabulary
    unit = vocabulary.UNIT
    if not len(vocabulary.encode(prompt)):
        raise UserError(
            f"`prompt` must have at least one {unit[:-1]}. Received: {prompt!r}"
        )
    missing = vocabulary.missing(prompt)
    if missing:
        shown = " ".join(map(repr, missing[:SHOWN]))
        rest = f" and {len(missing) - SHOWN} others" if len(missing) > SHOWN else ""
        raise UserError(
            f"`prompt` has {unit} that are not in this model's vocabulary: {shown}"
            f"{rest}. It knows: {vocabulary.known}"
        )


def sample(
    preset: Preset,
    prompt: np.ndarray,
    draw: Callable,
    *,
    length: int,
    temperature: float,
    seed: int,
) -> np.ndarray:
    """Draws timesteps one by one, each from the model's prediction given all before.

    Args:
        preset: Its model maps `(batch, time, ...)` to logits `(batch, time, n)`. It
            keeps what is compiled, for the next call with the same `draw`.
        prompt: The sequence to continue, `(time, ...)`, at least one timestep.
        draw: Function `(logits, noise, temperature) -> steps` with logits `(1, n)`,
            noise `(1, n)` uniform in (0, 1), and steps `(1, ...)` of the dtype of
            `prompt`.
        length: Number of timesteps to draw.
        temperature: Passed to `draw`.
        seed: Seed of the noise; step i has the same noise whatever the length.

    Returns:
        The drawn timesteps, `(length, ...)`.
    """
    if draw not in preset.programs:
        preset.programs[draw] = _program(preset.model, draw)
    return preset.programs[draw](
        tf.constant(prompt[None]),
        tf.constant(length),
        tf.constant(temperature, tf.float32),
        tf.constant(seed, tf.int64),
    ).numpy()


def _program(model: keras.Model, draw: Callable) -> Callable:
    step = bk.PureStep(model)

    # Prompts of several lengths share a program.
    @tf.function(autograph=False, reduce_retracing=True)
    def run(prompt, length, temperature, seed):
        def advance(inputs, state):
            logits, state = step(inputs, state)
            return tf.cast(logits[:, -1], tf.float32), state

        def body(i, logits, state, drawn):
            noise = tf.random.stateless_uniform(
                tf.shape(logits), seed=[seed, tf.cast(i, tf.int64)], minval=1e-20
            )
            chosen = draw(logits, noise, temperature)
            logits, state = advance(chosen[:, None], state)
            return i + 1, logits, state, drawn.write(i, chosen[0])

        logits, state = advance(prompt, step.initial_state(1))
        drawn = tf.TensorArray(
            prompt.dtype, size=length, element_shape=prompt.shape[2:]
        )
        *_, drawn = tf.while_loop(
            lambda i, *_: i < length,
            body,
            (tf.constant(0), logits, state, drawn),
            maximum_iterations=length,
        )
        return drawn.stack()

    return run
