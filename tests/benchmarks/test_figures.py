"""Numbers that are published come from one file, and the documentation follows it."""

import argparse
import sys

import pytest

from tests.benchmarks import figures, machine
from tests.benchmarks.machine import name_machine
from tests.benchmarks.markdown import markdown_table
from tests.benchmarks.markers import MarkerError, update

XEON = """\
model name	: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags		: fpu avx2 avx512f amx_tile
"""
ENTRIES = {
    "step": {
        "command": "make step",
        "date": "2026-11",
        "machine": "2-core Test",
        "values": {"us": 45.67, "steps": 1000000, "words": "as before"},
        "table": {"head": ["layer", "speed"], "rows": [["LSTM", "1.50"], ["GRU", ""]]},
    }
}
TABLE = "| layer | speed |\n|---|---|\n| LSTM | 1.50 |\n| GRU | |"


@pytest.fixture
def project(tmp_path):
    """A project with one entry and one page that shows it."""
    figures.record("step", {"us": 46.0}, command="make", path=tmp_path / "figures.json")
    page = tmp_path / "docs" / "guides" / "speed.md"
    page.parent.mkdir(parents=True)
    (tmp_path / "figures.json").rename(tmp_path / "docs" / "figures.json")
    page.write_text("# Speed\n\nIt takes <!--f step.us:.0f-->50<!--/f--> µs.\n")
    return tmp_path


def test_record_keeps_other_entries(tmp_path):
    path = tmp_path / "figures.json"
    figures.record("b", {"us": 1.0}, command="make b", path=path)
    table = (["layer"], [["LSTM"]])
    figures.record("a", {"us": 2.0}, command="make a", table=table, path=path)
    figures.record("b", {"us": 3.0}, command="make b", path=path)
    found = figures.read(path)
    assert list(found) == ["a", "b"]
    assert [found[name]["values"]["us"] for name in "ab"] == [2.0, 3.0]
    assert found["a"]["table"] == {"head": ["layer"], "rows": [["LSTM"]]}
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"]


def test_recorded_command_does_not_say_where_the_file_is(tmp_path, monkeypatch):
    path = tmp_path / "figures.json"
    words = ["--rounds", "3", "--record", str(path)]
    monkeypatch.setattr(sys, "argv", ["soak.py", *words])
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds")
    figures.add_options(parser, "soak")
    figures.publish(parser.parse_args(), {"mib": 1.23456})
    (entry,) = figures.read(path).values()
    assert entry["command"] == "python -m tests.benchmarks.soak --rounds 3"
    assert entry["values"] == {"mib": 1.235}


def test_nothing_is_recorded_unless_asked_for(monkeypatch):
    monkeypatch.setattr(figures, "record", lambda *_, **__: pytest.fail("recorded"))
    parser = argparse.ArgumentParser()
    figures.add_options(parser, "soak")
    figures.publish(parser.parse_args([]), {"mib": 1})


def test_machine_is_named_by_vendor_family_and_instructions(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(XEON)
    assert name_machine(path, 2) == "2-core Intel Xeon with AVX-512 and AMX"
    path.write_text("model name	: AMD EPYC 7B13\nflags		: avx avx2\n")
    assert name_machine(path, 4) == "4-core AMD EPYC with AVX2"


@pytest.mark.parametrize(
    "marker, shown",
    [
        ("step.us:.0f", "46"),
        ("step.us", "45.67"),
        ("step.steps:,", "1,000,000"),
        ("step.words", "as before"),
        ("step.machine", "2-core Test"),
    ],
)
def test_value_is_shown_as_its_marker_says(marker, shown):
    text, changes = update(f"It is <!--f {marker}-->old<!--/f-->.", ENTRIES)
    assert text == f"It is <!--f {marker}-->{shown}<!--/f-->."
    assert changes == [(1, f"`{marker.split(':')[0]}` is {shown}, not old")]
    assert update(text, ENTRIES) == (text, [])


def test_table_is_rendered_in_markdown():
    table = ENTRIES["step"]["table"]
    assert markdown_table(table["head"], table["rows"]) == TABLE


def test_table_stands_between_its_markers():
    text, changes = update("A:\n\n<!--table step-->\n<!--/table-->\n\nB", ENTRIES)
    assert text == f"A:\n\n<!--table step-->\n\n{TABLE}\n\n<!--/table-->\n\nB"
    assert changes == [(3, "`table step` has changed")]


def test_table_may_have_some_of_its_rows():
    text, _ = update("<!--table step 2-->\n<!--/table-->", ENTRIES)
    assert "| GRU | |" in text
    assert "LSTM" not in text


def test_some_presets_are_shown_in_few_columns():
    text, _ = update("<!--presets etth1 echo-8-->\n<!--/presets-->", ENTRIES)
    _, _, head, _, first, second, _, _ = text.splitlines()
    assert head == "| preset | metric | value | published |"
    assert first.startswith(
        "| `etth1` | mean squared error, training variances, test |"
    )
    assert second.startswith("| `echo-8` |")
    assert second.endswith("| 0.9952 | |")


def test_value_that_begins_a_line_gets_the_word_before_it():
    text = (
        "It takes\n<!--f step.us:.0f-->46<!--/f--> or\n<!--f step.us-->45.67<!--/f-->"
    )
    new, changes = update(text, ENTRIES)
    assert new == (
        "It\ntakes <!--f step.us:.0f-->46<!--/f-->\nor <!--f step.us-->45.67<!--/f-->"
    )
    assert changes == [(n, "`step.us` began a line") for n in (2, 3)]


def test_code_has_no_markers():
    code = "Write `<!--f a.b-->`:\n\n```\n<!--table c-->\n```\n"
    assert update(code, ENTRIES) == (code, [])


def test_code_span_that_goes_over_a_line_hides_no_marker():
    text = "`a\nb` <!--f step.us:.0f-->1<!--/f--> `c`"
    assert update(text, ENTRIES)[0] == text.replace("-->1<", "-->46<")


@pytest.mark.parametrize(
    "text, message",
    [
        ("a\n\nb <!--f step.ms-->1<!--/f-->", "`step` has no `ms`, but us, "),
        ("a\n\nb <!--f stop.us-->1<!--/f-->", "There is no `stop` in the figures"),
        ("a\n\nb <!--f step.words:.0f-->1<!--/f-->", "'as before': no `.0f`"),
        ("a\n\nb <!--f step.us-->1", "has no partner"),
        ("a\n\n<!--f step.us-->1<!--/f--> b", "may not begin a line"),
        ("a\n\n- <!--f step.us-->1<!--/f--> b", "may not begin a line"),
        ("a\n\n<!--table step 3-->\n<!--/table-->", "`step` has rows 1 to 2, no 3"),
        ("a\n\n<!--presets nine-->\n<!--/presets-->", "`presets nine`: name some of"),
        ("a\n\n<!--table step-->\n\n|a|\n\n<!--/results-->", "has no partner"),
    ],
)
def test_marker_that_says_nothing_is_named_with_its_line(text, message):
    with pytest.raises(MarkerError, match=message) as caught:
        update(text, ENTRIES)
    assert caught.value.line == 3


def test_check_names_a_number_that_is_not_current(project, capsys):
    page = project / "docs" / "guides" / "speed.md"
    before = page.read_text()
    assert figures.main(["--check"], project) == 1
    assert capsys.readouterr().out == (
        "docs/guides/speed.md:3: `step.us` is 46, not 50\n"
    )
    assert page.read_text() == before


def test_command_writes_what_check_missed(project):
    assert figures.main([], project) == 0
    assert "<!--f step.us:.0f-->46<!--/f--> µs" in next(
        path.read_text() for path in figures.markdown_files(project)
    )
    assert figures.main(["--check"], project) == 0


def test_unknown_key_is_named_with_file_and_line(project):
    page = project / "docs" / "guides" / "speed.md"
    page.write_text("It takes\na bare <!--f step.ms-->1<!--/f--> ms.\n")
    with pytest.raises(
        SystemExit, match=r"docs/guides/speed\.md:2: `step` has no `ms`"
    ):
        figures.main(["--check"], project)


def test_documentation_shows_the_numbers_that_were_measured(capsys):
    assert figures.main(["--check"]) == 0, capsys.readouterr().out


def test_what_was_disturbed_is_not_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "disturbed", {"Keras"})
    parser = argparse.ArgumentParser()
    figures.add_options(parser, "step")
    args = parser.parse_args(["--record", str(tmp_path / "figures.json")])
    with pytest.raises(SystemExit, match="took time beside Keras"):
        figures.publish(args, {"us": 1.0})
    assert not list(tmp_path.iterdir())
