import shlex
import subprocess
import sys

import pytest

import zoo
from zoo.cli.main import build_parser
from zoo.products.kinds import product_of
from zoo.tasks import TASKS

TEXT = "to be or not to be, that is the question: " * 100


@pytest.fixture
def file(tmp_path):
    """A text file."""
    path = tmp_path / "my.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def preset(tmp_path, untrained):
    """A preset folder."""
    zoo.save_to_preset(tmp_path / "preset", untrained)
    return tmp_path / "preset"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["generate", "--help"], ["forecast", "--help"]],
)
@pytest.mark.quick(1)
def test_help_is_shown_without_tensorflow(arguments):
    code = f"import sys; sys.argv = ['bptt-zoo', *{arguments}]\n" + (
        "from zoo.cli.main import main\n"
        "assert main() == 0\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: bptt-zoo" in done.stdout
    assert done.stderr == ""


def test_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "list"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "char-lm" in done.stdout


def test_list_names_tasks_and_data_sets(run):
    code, out, _ = run("list")
    assert code == 0
    for name in ("char-lm", "python-topics", "tiny-shakespeare", "--data PATH"):
        assert name in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "char-lm"], "--out"),
        (["train"], "TASK"),
        (["train", "juggling", "--out", "x"], "invalid choice: 'juggling'"),
        (["train", "adding", "--out", "x", "--data", "a"], "--data"),
        (["train", "char-lm", "--out", "x", "--units", "many"], "--units"),
        (["train", "char-lm", "--out", "x", "--data", "a", "--dataset", "b"], "--data"),
        (["generate"], "PRESET"),
        (["generate", "x", "--tempo", "fast"], "--tempo"),
        (["forecast", "x"], "--data"),
        (["trian"], "Did you mean train?"),
        (["train", "cha-lm"], "Did you mean char-lm?"),
        (["train", "char-lm", "--out", "x", "--layr", "gru"], "Did you mean --layer?"),
        (["train", "char-lm", "--out", "x", "--unit=3"], "no option --unit. Did you"),
        (["train", "char-lm", "--out", "x", "--layer", "gur"], "Did you mean gru?"),
        (["train", "forecasting", "--out", "x", "--base", "lats"], "mean last?"),
        (["tune", "adding", "--out", "x", "--trails", "3"], "Did you mean --trials?"),
        (["train", "char-lm", "--out", ""], "`out` must not be empty"),
        (["train", "char-lm", "--out", "x", "--data", ""], "`data` must not be empty"),
        (["results", "echo-8", ""], "`presets` must not be empty"),
        (["pull", "x", "--from", ""], "`from` must not be empty"),
        (["report", "x", "--out", "x.png"], "must be a file .html or .htm"),
        (["generate", "ecko-8"], "Did you mean echo-8?"),
    ],
)
def test_wrong_usage_is_one_line(refused, arguments, message):
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--units", "0"], "`units` must be at least 1. Received: units=0"),
        (["--epochs", "-3"], "`epochs` must be at least 1"),
        (["--learning-rate", "nan"], "`learning_rate` must be positive"),
        (["--clip", "-1"], "`clip` must be positive"),
        (["--window", "0"], "--window 0 (the whole sequence) is not possible for a"),
        (["--window", "5000"], "Lower --batch-size or --window"),
        (["--data-dir", "."], "`--data-dir` goes with --dataset"),
    ],
)
def test_options_out_of_range_are_refused_before_training(
    refused, file, tmp_path, options, message
):
    out = tmp_path / "out"
    assert message in refused(
        "train", "char-lm", "--data", file, "--out", out, *options
    )
    assert not out.exists()


def test_the_versions_of_packages_are_printed(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("bptt_keras ") and "tensorflow 2." in out and "keras 3" in out


def test_evaluate_asks_which_data_set_is_meant(refused):
    error = refused("evaluate", "echo-8", "--dataset", "echo8")
    assert "--dataset must be one of delayed-echo" in error
    assert "Did you mean echo-8?" in error


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"task": "char-lm"}', "[" * 9999])
def test_an_invalid_recipe_is_refused(refused, file, tmp_path, content):
    (tmp_path / "recipe.json").write_text(content)
    command = ["train", "char-lm", "--data", file, "--out", tmp_path / "out"]
    error = refused(*command, "--recipe", tmp_path / "recipe.json")
    assert "`--recipe` must be a file that bptt-zoo tune has written" in error
    assert "regular file" in refused(*command, "--recipe", "/dev/zero")
    assert not (tmp_path / "out").exists()


def test_bad_text_is_refused(refused, tmp_path):
    (tmp_path / "short.txt").write_text("short")
    for name, message in (("short.txt", "at least 100"), ("no.txt", "does not exist")):
        error = refused(
            "train", "char-lm", "--data", tmp_path / name, "--out", tmp_path / "out"
        )
        assert message in error


def test_output_that_cannot_be_used_is_refused(refused, file):
    command = ["train", "char-lm", "--data", file, "--out"]
    assert "is a file or lies below one" in refused(*command, file)
    assert "is not empty" in refused(*command, file.parent)


def test_missing_presets_are_refused(refused, tmp_path):
    assert "There is no preset in" in refused("generate", tmp_path, "--prompt", "a")
    assert "There is no preset" in refused("evaluate", tmp_path / "no")


def test_bad_prompts_and_temperatures_are_refused(refused, preset):
    assert "'%'" in refused("generate", preset, "--prompt", "to be%")
    assert "`prompt`" in refused("generate", preset, "--prompt", "")
    assert "`--prompt` must say" in refused("generate", preset)
    error = refused("generate", preset, "--prompt", "to", "--temperature", "-1")
    assert "`temperature`" in error


def test_a_missing_network_is_a_failure(refused, monkeypatch, tmp_path):
    import socket

    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    command = ["train", "char-lm", "--dataset", "tiny-shakespeare", "--out"]
    assert "Without a network" in refused(*command, tmp_path / "out", code=1)


def test_a_preset_of_the_users_text_asks_for_the_text(refused, preset):
    assert "with --data" in refused("evaluate", preset)


def test_generate_prints_prompt_and_continuation(run, preset):
    command = ["generate", preset, "--prompt", "to be", "--length", 20, "--seed", 3]
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert out.startswith("to be")
    assert len(out) == len("to be") + 20 + 1
    assert run(*command)[1] == out


def test_evaluate_says_when_the_text_is_different(run, preset, tmp_path):
    (tmp_path / "other.txt").write_text("TO BE or not to be. " * 20)
    code, out, _ = run("evaluate", preset, "--data", tmp_path / "other.txt")
    assert code == 0
    assert "nats/char" in out
    assert "was trained on other data: a text" in out
    assert "of the characters are unknown to it" in out


def test_evaluate_measures_all_of_a_text_in_its_encoding(run, preset, tmp_path):
    (tmp_path / "other.txt").write_bytes("to bé or not to be. ".encode("cp1252") * 20)
    command = ("evaluate", preset, "--data", tmp_path / "other.txt")
    code, out, _ = run(*command, "--whole", "--encoding", "cp1252")
    assert code == 0
    assert out.startswith("other.txt, all of it: cross-entropy")
    assert "10.00% of the characters are unknown" in out


def test_options_of_own_texts_are_refused_for_other_data(refused, preset):
    assert "`--whole` measures all of a text" in refused(
        *("evaluate", preset, "--dataset", "tiny-shakespeare", "--whole")
    )
    assert "`--encoding` is that of a text" in refused(
        *("evaluate", preset, "--dataset", "tiny-shakespeare", "--encoding", "cp1252")
    )


@pytest.mark.parametrize("name", TASKS)
def test_the_steps_after_a_training_are_commands_that_exist(name):
    steps = product_of(TASKS[name]).next_steps("runs/a")
    for _, command in steps:
        program, *arguments = shlex.split(command)
        assert program == "bptt-zoo"
        assert build_parser().parse_args(arguments).preset == "runs/a"
    can = {command.split()[1] for _, command in steps}
    assert ("generate" in can) == (TASKS[name].MAKES in ("text", "music"))
    assert ("forecast" in can) == (name == "forecasting")


def test_a_preset_that_names_no_task_is_refused(refused, preset):
    (preset / "metadata.json").write_text("{}")
    error = refused("generate", preset, "--prompt", "a")
    assert "is damaged: 'task' is missing" in error
