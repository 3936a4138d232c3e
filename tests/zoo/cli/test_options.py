import dataclasses
from typing import Annotated, Literal

import pytest

from zoo.cli.options import Keyword, Positional, add_options, read
from zoo.cli.parser import Parser
from zoo.system.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    pieces: Annotated[list[str], Positional("some", "PIECE", least=1)]
    out: Annotated[str, Keyword("where", "DIR")]
    frames_per_beat: Annotated[int | None, Keyword("how fine", "N")] = None
    speed: Annotated[float, Keyword("how fast (%(default)s)", "X", group="music")] = 1.5
    kind: Annotated[Literal["a", "b"], Keyword("which")] = "a"
    quiet: Annotated[bool, Keyword("say less", group="music")] = False
    start: Annotated[str | None, Keyword("from where", "DIR", "--from")] = None
    mirrors: Annotated[list[str], Keyword("more", "URL", "--mirror")] = (
        dataclasses.field(default_factory=list)
    )
    one: Annotated[str | None, Keyword("this", either="x")] = None
    other: Annotated[str | None, Keyword("or that", either="x", empty=True)] = None
    told: int = 0


def parsed(*words, **more):
    parser = Parser(lambda parser: add_options(parser, Options), prog="it")
    return read(Options, parser.parse_args(words), **more)


def test_an_omitted_option_has_its_default():
    assert parsed("a", "--out", "x") == Options(pieces=["a"], out="x")


def test_each_option_is_read_as_its_type():
    options = parsed(
        *("a", "b", "--out", "x", "--frames-per-beat", "3", "--speed", "2"),
        *("--kind", "b", "--quiet", "--from", "y", "--mirror", "u", "--mirror", "v"),
        *("--other", ""),
        told=4,
    )
    assert options == Options(
        pieces=["a", "b"],
        out="x",
        frames_per_beat=3,
        speed=2.0,
        kind="b",
        quiet=True,
        start="y",
        mirrors=["u", "v"],
        other="",
        told=4,
    )


@pytest.mark.parametrize(
    "words, message",
    [
        (["--out", "x"], "the following arguments are required: PIECE"),
        (["a"], "the following arguments are required: --out"),
        (["a", "--out", "x", "--frames-per-beat", "1.5"], "invalid int value: '1.5'"),
        (["a", "--out", "x", "--kind", "c"], "invalid choice: 'c'"),
        (["a", "--out", "x", "--one", "1", "--other", "2"], "not allowed with"),
        (["a", "--out", "x", "--speeed", "1"], "Did you mean --speed?"),
        (["a", "--out", "x", "--told", "1"], "there is no option --told"),
    ],
)
def test_an_invalid_option_ends_with_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as end:
        parsed(*words)
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "words, name",
    [
        (["", "--out", "x"], "pieces"),
        (["a", "--out", ""], "out"),
        (["a", "--out", "x", "--from", ""], "from"),
        (["a", "--out", "x", "--mirror", "u", "--mirror", ""], "mirror"),
    ],
)
def test_an_empty_name_is_refused_by_its_option(words, name):
    with pytest.raises(UserError, match=f"^`{name}` must not be empty.$"):
        parsed(*words)


def test_help_has_groups_and_defaults(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    music = text.partition("music:\n")[2]
    assert "--speed X" in music and "how fast (1.5)" in music and "--quiet" in music
