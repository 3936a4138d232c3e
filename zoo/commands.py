"""What the commands of `bptt-zoo` do, after their options have been read."""

from __future__ import annotations

import dataclasses

from zoo import datasets
from zoo.errors import UserError
from zoo.preset_folder import find_preset
from zoo.quiet import import_tensorflow
from zoo.tasks import TASKS

JIT = {"auto": "auto", "on": True, "off": False}
SAMPLE_LENGTH = 300


def train(arguments) -> None:
    """Trains a model, writes everything below `--out`, prints result and sample."""
    from zoo.files import prepare_output

    task = TASKS[arguments.task]
    if arguments.dataset is None and arguments.data is None:
        arguments.dataset = task.DATASETS[0]
    recipe = _recipe(task, arguments)
    out = prepare_output(arguments.out, overwrite=arguments.overwrite)
    import_tensorflow()
    text = _text(arguments)

    from zoo.training import WRITTEN, Run

    task.check(text, recipe)
    prepare_output(out, overwrite=True, names=WRITTEN)
    run = Run(task, text, recipe, out, jit=JIT[arguments.jit])
    _announce(run)
    try:
        preset = run.fit()
    except KeyboardInterrupt:
        if run.preset_folder.exists():
            print(f"\nInterrupted. The best model so far is in {run.preset_folder}")
        raise
    _conclude(run, preset)


def generate(arguments) -> None:
    """Prints a prompt and its continuation."""
    find_preset(arguments.preset)
    import_tensorflow()
    from zoo import sampling
    from zoo.preset import load_preset

    options = {
        "length": arguments.length,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
    }
    sampling.check_options(**options)
    preset = load_preset(arguments.preset)
    print(arguments.prompt + sampling.generate(preset, arguments.prompt, **options))


def evaluate(arguments) -> None:
    """Prints the cross-entropy of a preset on a validation part."""
    find_preset(arguments.preset)
    import_tensorflow()
    from zoo.evaluation import evaluate as cross_entropy
    from zoo.preset import load_preset
    from zoo.report import bits

    preset = load_preset(arguments.preset)
    known = preset.metadata["data"]
    if arguments.dataset is None and arguments.data is None:
        if known["name"] not in TASKS[preset.metadata["task"]].DATASETS:
            raise UserError(
                f"This preset was trained on a text of its own, {known['name']}. Name "
                "that text, or another, with --data FILE."
            )
        arguments.dataset = known["name"]
    text = _text(arguments)
    value = cross_entropy(preset, text)
    print(
        f"{text.name}, {len(text.validation):,} validation characters: "
        f"{value:.4f} nats/char, {bits(value):.4f} bits/char"
    )
    if text.sha256 == known["sha256"]:
        stored = preset.metadata["metric"]["value"]
        print(f"stored in the preset, same text: {stored:.4f} nats/char")
        return
    print(f"The preset was trained on another text: {known['name']}.")
    missing = preset.vocabulary.missing(text.validation)
    if missing:
        share = sum(c in missing for c in text.validation) / len(text.validation)
        print(f"{share:.2%} of the characters are unknown to it, and cost it dearly.")


def report(arguments) -> None:
    """Writes the HTML page of a training run and prints where it is."""
    import_tensorflow()
    from zoo.run_report import write_run_report

    print(write_run_report(arguments.run, arguments.out))


def show(arguments) -> None:
    """Prints the tasks and the data sets."""
    print("tasks")
    for task in TASKS.values():
        print(f"  {task.NAME:18}{task.SUMMARY}")
    print("\ndata sets")
    for name in dict.fromkeys(n for task in TASKS.values() for n in task.DATASETS):
        print(f"  {name:18}{datasets.DATASETS[name].summary}")
    print("  --data FILE       a text of your own, in UTF-8")


def _recipe(task, arguments):
    """The default recipe, changed where an option was given."""
    recipe = task.recipe_for(arguments.dataset)
    names = {field.name for field in dataclasses.fields(recipe)}
    given = {k: v for k, v in vars(arguments).items() if k in names and v is not None}
    if given.get("clip") == 0:
        given["clip"] = None
    try:
        return dataclasses.replace(recipe, **given)
    except ValueError as error:
        raise UserError(str(error)) from None


def _text(arguments) -> datasets.Text:
    if arguments.data is None:
        return datasets.load(arguments.dataset, data_dir=arguments.data_dir)
    if arguments.data_dir is not None:
        raise UserError("`--data-dir` goes with --dataset, not with --data.")
    return datasets.from_file(arguments.data)


def _announce(run) -> None:
    data, levels = run.facts["data"], run.facts["baselines"]
    print(
        f"{run.task.NAME} on {data['name']}: {data['train_characters']:,} characters "
        f"to learn, {data['validation_characters']:,} to validate, "
        f"{data['vocabulary_size']} ids"
    )
    print(
        f"to beat, in nats per character: bigram {levels['bigram']:.3f}, unigram "
        f"{levels['unigram']:.3f}, chance {levels['uniform']:.3f}"
    )


def _conclude(run, preset) -> None:
    from zoo.files import write_text
    from zoo.report import result_table
    from zoo.run_report import SAMPLE
    from zoo.sampling import generate

    print(f"\n{result_table(preset.metadata)}")
    prompt = run.task.SAMPLE_PROMPT
    if preset.vocabulary.missing(prompt):
        prompt = run.text.validation[:1]
    sample = generate(preset, prompt, length=SAMPLE_LENGTH, temperature=0.8)
    write_text(run.out / SAMPLE, prompt + sample)
    print(f"\na sample, at temperature 0.8:\n{'-' * 72}\n{sample.strip()}\n{'-' * 72}")
    print(f"\nhistory and plots: {run.out}\npreset:            {run.preset_folder}")
    print(f"continue a text:   bptt-zoo generate {run.preset_folder} --prompt TEXT")
    print(f"see how it went:   bptt-zoo report {run.out}")
