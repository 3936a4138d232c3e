"""Findings that are new between looks or retracted, and the time that they held."""

import pytest

from bptt_keras.diagnostics import (
    Activity,
    Finding,
    GradientFlow,
    Look,
    TruncationBias,
    read_looks,
)
from bptt_keras.diagnostics.watching.changes import news, periods

SHORT = GradientFlow([0.5**k for k in range(40)])
LONG = GradientFlow([1.0] * 40)


def looks(*kinds, flow=LONG, bias=None, logs=None):
    """A look an epoch, each with findings of these kinds."""
    return [
        Look(
            epoch,
            flow,
            bias,
            Activity({}),
            logs or {},
            [Finding(kind, "note", f"{kind} at {epoch}.") for kind in found],
        )
        for epoch, found in enumerate(kinds)
    ]


def told(seen):
    return [f"{time}, {finding}" for time, finding in news(seen)]


def times(seen):
    return [
        (period.finding.kind, period.time, period.holds) for period in periods(seen)
    ]


def test_a_kind_is_reported_once_and_retracted_when_it_is_gone():
    assert told(looks([], ["dead"], ["dead"], [], ["dead"])) == [
        "after epoch 1, note (dead): dead at 1.",
        "after epoch 3, no longer (dead): All states change, and no gate is saturated.",
        "after epoch 4, note (dead): dead at 4.",
    ]


@pytest.mark.parametrize(
    ("kind", "flow", "bias", "logs", "words"),
    [
        ("vanishing", LONG, None, {}, "Gradients last: "),
        ("exploding", LONG, None, {}, "Gradients last: "),
        ("window too long", LONG, None, {}, "Gradients last: "),
        ("window too long", SHORT, 0.99, {}, "Now less than 1 % of the gradient lies "),
        ("window too short", SHORT, None, {}, "Gradients vanish: "),
        ("window too short", SHORT, 0.999, {}, "A window of 10 is off by 4 %"),
        (
            "window too short",
            SHORT,
            0.9,
            {},
            "Now of the gradient one step back, 0.2 %",
        ),
        ("wrong way", LONG, 0.99, {}, "A window of 10 is off by 14 %"),
        ("biased", LONG, 0.99, {}, "A window of 10 is off by 14 %"),
        ("biased", LONG, None, {}, "What the window is worth was not measured."),
        ("not judged", LONG, 0.99, {}, "A window of 10 is off by 14 %"),
        ("clips never", LONG, None, {"clipped_fraction": 0.2}, "Clipping shortened 20"),
        ("not finite", LONG, None, {}, "All is finite."),
        ("of another version", LONG, None, {}, "It was not found any more."),
    ],
)
def test_a_retraction_says_what_was_measured(kind, flow, bias, logs, words):
    bias = bias and TruncationBias([10, 40], [bias, 1], [1, 1])
    ((time, finding),) = news(looks([kind], [], flow=flow, bias=bias, logs=logs))[1:]
    assert time == "after epoch 1" and finding.severity == "no longer"
    assert finding.kind == kind and finding.words.startswith(words)


def test_a_shorter_window_that_proved_too_short_is_named():
    bias = TruncationBias([32, 140, 400], [0.95, 0.99, 1], [1, 1, 1])
    (_, finding) = news(looks(["window too long"], [], flow=SHORT, bias=bias))[1]
    assert finding.words.startswith("One of 32 is off by 32 % from the full gradient")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("window too long", "window too short"),
        ("window too short", "window too long"),
        ("window too long", "biased"),
        ("clips always", "clips never"),
        ("vanishing", "exploding"),
    ],
)
def test_a_finding_that_turns_into_its_opposite_says_so(before, after):
    seen = looks([], [before], [after])
    assert told(seen)[1:] == [
        f'after epoch 2, note ({after}): The opposite of what was found before, "'
        f'{before}". {after} at 2.'
    ]
    assert periods(seen)[1].after == f'No longer after epoch 2: Then "{after}".'


def test_a_single_event_is_not_retracted():
    seen = looks([], ["growing"], [])
    assert told(seen) == ["after epoch 1, note (growing): growing at 1."]
    assert times(seen) == [("growing", "after epoch 1", False)]
    assert periods(seen)[0].after == ""


def test_overflow_retracts_nothing():
    seen = looks(["wrong way"], ["not finite"], ["not finite"])
    assert [finding.kind for _, finding in news(seen)] == ["wrong way", "not finite"]
    assert times(seen) == [
        ("wrong way", "since the start", True),
        ("not finite", "since epoch 1", True),
    ]
    assert [f.kind for _, f in news([*seen, *looks([], [], [], [])[3:]])][2:] == [
        "wrong way",
        "not finite",
    ]


def test_each_finding_has_its_time_and_what_holds_at_the_end_is_first():
    seen = looks(["dead"], ["dead", "biased"], ["biased"], ["biased", "clips never"])
    assert times(seen) == [
        ("biased", "since epoch 1", True),
        ("clips never", "after epoch 3", True),
        ("dead", "from the start to epoch 1", False),
    ]
    # In its last words.
    assert [period.finding.words for period in periods(seen)] == [
        "biased at 3.",
        "clips never at 3.",
        "dead at 1.",
    ]


def test_among_current_findings_warnings_are_first():
    (look,) = looks(["biased"])
    look.findings.append(Finding("dead", "warning", "Dead."))
    assert [kind for kind, *_ in times([look])] == ["dead", "biased"]


def test_a_first_look_after_epochs_is_not_at_the_start():
    seen = looks([], [], ["biased"])[2:]
    assert told(seen) == ["after epoch 2, note (biased): biased at 2."]


OLD = """[{"epoch": 0, "logs": {}, "findings": [{"kind": "vanishing",
"severity": "note", "words": "Gradients vanish."}, {"kind": "window too long",
"severity": "note", "words": "One of 44 would do."}],
"flow": {"norms": [1.0, 0.5, 0.1], "layers": {}, "jacobian":
[]}, "bias": {"windows": [96, 400], "cosine": [0.99, 1.0], "norm_ratio": [1.0, 1.0],
"variables": {}}, "activity": {}},
{"epoch": 1, "logs": {"loss": 1.0}, "findings": [], "flow": {"norms": [1.0, 0.9, 0.9],
"layers": {}, "jacobian": []}, "bias": null, "activity": {}}]"""


def test_files_of_earlier_versions_are_read_and_reported(tmp_path):
    path = tmp_path / "looks.json"
    path.write_text(OLD)
    seen = read_looks(path)
    assert [finding.severity for _, finding in news(seen)] == [
        "note",
        "note",
        "no longer",
        "no longer",
    ]
    assert times(seen) == [
        ("vanishing", "at the start", False),
        ("window too long", "at the start", False),
    ]
