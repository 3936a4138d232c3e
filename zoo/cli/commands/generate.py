"""`bptt-zoo generate`: continues a text or a piece of music."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import numpy as np

from zoo.cli.command import Command
from zoo.cli.options import Keyword
from zoo.cli.shared import PresetName
from zoo.music.midi import check_speed, write_midi
from zoo.music.pieces import FRAMES_PER_BEAT
from zoo.store.check import check_preset, read_known_metadata
from zoo.store.files import PresetFiles
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow
from zoo.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    preset: PresetName
    prompt: Annotated[
        str | None,
        Keyword(
            "how it begins: a text; or a piece of music, .mid, .npz or .mat (default: "
            "one chord)",
            "TEXT|FILE",
            empty=True,  # the model refuses it where it needs a prompt
        ),
    ] = None
    length: Annotated[
        int | None,
        Keyword(
            "what is added (default: 500 characters or words, 128 frames of music)", "N"
        ),
    ] = None
    temperature: Annotated[
        float,
        Keyword(
            "below 1: safer, and music thinner; above 1: wilder; 0: always the "
            "likeliest (%(default)s)",
            "X",
        ),
    ] = 1.0
    seed: Annotated[int, Keyword("of the draws (%(default)s)", "N")] = 0
    out: Annotated[
        str | None, Keyword("the MIDI file; required", "FILE.mid", group="music")
    ] = None
    tempo: Annotated[
        float | None, Keyword("beats a minute (default: 100)", "BPM", group="music")
    ] = None
    frames_per_beat: Annotated[
        int | None,
        Keyword(
            "frames of a quarter note, in --prompt too (default: as in the data that "
            "the preset was trained on)",
            "N",
            group="music",
        ),
    ] = None


def generate(options: Options) -> None:
    """Continues a text or a piece of music, depending on the preset."""
    files = locate_files(options.preset)
    name = read_known_metadata(files.folder)["task"]
    able_to = {"text": _continue_text, "music": _compose}
    kind = TASKS[name].MAKES
    if kind not in able_to:
        able = ", ".join(t.NAME for t in TASKS.values() if t.MAKES in able_to)
        raise UserError(
            f"This preset is one of {name}, which generates nothing. Presets of these "
            f"tasks do: {able}."
        )
    able_to[kind](files, options)


def _continue_text(files: PresetFiles, options: Options) -> None:
    """Prints a prompt and its continuation."""
    for name in ("out", "tempo", "frames_per_beat"):
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise UserError(f"`--{option}` is for music, and this preset makes text.")
    if options.prompt is None:
        raise UserError("`--prompt` must say how the text begins.")
    checked = check_preset(files)
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.products import sampling
    from zoo.store.preset import load_preset

    length = 500 if options.length is None else options.length
    temperature, seed = options.temperature, options.seed
    sampling.check_options(length=length, temperature=temperature, seed=seed)
    preset = load_preset(checked)
    prompt = preset.with_known_lines(options.prompt)
    added = sampling.generate(
        preset, prompt, length=length, temperature=temperature, seed=seed
    )
    print(prompt + added)


def _compose(files: PresetFiles, options: Options) -> None:
    """Writes a piece of music and its continuation as a MIDI file and a plot."""
    if options.out is None:
        raise UserError("`--out` must name the MIDI file to write, such as tune.mid.")
    out = output_file(options.out, (".mid", ".midi"), keep=options.prompt)
    given = {"tempo": options.tempo, "frames_per_beat": options.frames_per_beat}
    speed: dict[str, Any] = {
        name: value for name, value in given.items() if value is not None
    }
    check_speed(**speed)
    checked = check_preset(files)
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.products.composing import generate_music, read_prompt, start_chord
    from zoo.products.pictures import plot_roll
    from zoo.store.preset import load_preset

    preset = load_preset(checked)
    name = preset.metadata["data"]["name"]
    known = FRAMES_PER_BEAT.get(name, 1)
    speed.setdefault("frames_per_beat", preset.processing.get("frames_per_beat", known))
    per_beat = speed["frames_per_beat"]
    if options.prompt is None:
        prompt = start_chord()
    else:
        prompt = read_prompt(options.prompt, per_beat)
    added = generate_music(
        preset,
        prompt,
        length=128 if options.length is None else options.length,
        temperature=options.temperature,
        seed=options.seed,
    )
    roll = np.concatenate([prompt, added])
    picture = out.with_suffix(".png")
    write_midi(out, roll, **speed)
    plot_roll(
        picture,
        roll,
        begin=len(prompt),
        frames_per_beat=per_beat,
        title=f"a model of {name}, temperature {options.temperature:g}, seed "
        f"{options.seed}",
    )
    if len(added):
        print(_density(prompt, added))
    print(f"MIDI file: {out}\npicture:   {picture}")


def _density(prompt: np.ndarray, added: np.ndarray) -> str:
    """Describes how many keys sound in the continuation."""
    keys = added.sum(axis=1)
    return (
        f"{len(added)} frames added to {len(prompt)}: {keys.mean():.1f} keys a frame, "
        f"{np.mean(keys == 0):.0%} silent"
    )


COMMAND = Command(
    "Text: prints the prompt and what the model adds to it. Music: writes both as a "
    "MIDI file, and beside it a PNG picture of the piano roll.",
    Options,
    generate,
)
