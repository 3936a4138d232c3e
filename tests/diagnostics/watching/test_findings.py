"""Findings from measurements and logs."""

import math

import numpy as np
import pytest

from bptt_keras.diagnostics import Activity, GradientFlow, LayerActivity, TruncationBias
from bptt_keras.diagnostics.watching import findings


def kinds(found):
    return [finding.kind for finding in found]


@pytest.mark.parametrize(
    ("norms", "window", "expected"),
    [
        ([1.2**k for k in range(40)], 10, ["exploding"]),
        ([1.0] * 20 + [math.inf] * 20, 10, ["not finite"]),
        ([0.0] * 40, 10, ["vanishing"]),
        ([0.8**k for k in range(40)], 8, ["vanishing", "window too short"]),
        ([0.5**k for k in range(40)], 20, ["vanishing"]),
        ([0.5**k for k in range(40)], 200, ["vanishing", "window too long"]),
        ([0.5**k for k in range(40)], None, ["vanishing"]),
        ([1.0] * 40, 10, ["window too short"]),
        ([1.0] * 40, 100, []),
        ([1.0] * 40, None, []),
    ],
)
def test_a_flow_is_judged_beside_the_window(norms, window, expected):
    assert kinds(findings.of_flow(GradientFlow(norms), window)) == expected


SHORT = GradientFlow([0.5**k for k in range(40)])  # a horizon of 7
LONG = GradientFlow([1.0] * 40)


def bias_of(windows, cosines):
    return TruncationBias(windows, [*cosines, 1], [1] * len(windows))


def test_a_shorter_window_is_judged_by_its_measurement():
    assert findings.shorter(SHORT, 140) == 32
    bias = bias_of([32, 140, 400], [0.999, 0.9999])
    words = findings.of_flow(SHORT, 140, bias=bias)[1].words
    assert "The window of 140 timesteps is far beyond the horizon" in words
    assert "beyond 7 timesteps, as measured at lags up to 40 on these data" in words
    assert "One of 32 is off by 4 % from the full gradient over 400" in words
    assert "that of 140 is off by 1 %" in words
    assert "keeps 32 timesteps for the backward pass in place of 140" in words


def test_a_shorter_window_measured_to_be_inaccurate_is_not_advised():
    bias = bias_of([32, 140, 400], [0.95, 0.9999])
    assert kinds(findings.of_flow(SHORT, 140, bias=bias)) == ["vanishing"]


def test_without_a_measurement_a_shorter_window_is_not_judged():
    words = findings.of_flow(SHORT, 140)[1].words
    assert "What a shorter window would change was not measured" in words
    assert "same" not in words and "memory" not in words


def test_a_loss_at_the_end_reaches_back_the_whole_window():
    assert findings.shorter(SHORT, 20) is None
    assert kinds(findings.of_flow(SHORT, 20)) == ["vanishing"]
    assert findings.shorter(SHORT, 20, ends=True) == 8
    found = findings.of_flow(SHORT, 20, ends=True)
    assert kinds(found) == ["vanishing", "window too long"]


def test_a_window_is_too_short_where_gradients_are_left_at_its_end():
    flow = GradientFlow([0.8**k for k in range(40)])
    assert kinds(findings.of_flow(flow, 10)) == ["vanishing", "window too short"]
    (_, found) = findings.of_flow(flow, 10)
    assert "of the gradient one step back, 13 % is left at 10 steps" in found.words
    # 0.8^25 = 0.4 %.
    assert kinds(findings.of_flow(flow, 26)) == ["vanishing"]


def test_a_window_near_the_full_gradient_is_not_called_too_short():
    assert findings.of_flow(LONG, 10, bias=bias_of([10, 40], [0.999])) == []
    far = findings.of_flow(LONG, 10, bias=bias_of([10, 40], [0.9]))
    assert kinds(far) == ["window too short"]


def test_a_gradient_that_points_the_wrong_way_is_a_warning():
    (found,) = findings.of_bias(TruncationBias([10, 40], [-0.3, 1], [2, 1]))
    assert found.kind == "wrong way" and found.severity == "warning"


@pytest.mark.parametrize(
    ("cosine", "ratio", "severity"),
    [
        (0.97, 1, None),
        (0.9, 0.9, "note"),
        (0.3, 2, "warning"),
        (math.nan, 0, "warning"),
    ],
)
def test_an_inaccurate_gradient_is_reported(cosine, ratio, severity):
    found = findings.of_bias(TruncationBias([96, 400], [cosine, 1], [ratio, 1]))
    told = [(finding.kind, finding.severity) for finding in found]
    assert told == ([] if severity is None else [("biased", severity)])


def test_the_words_say_how_inaccurate_a_window_is():
    (found,) = findings.of_bias(TruncationBias([96, 400], [0.9, 1], [0.9, 1]))
    assert found.words.startswith(
        "A window of 96 is off by 44 % from the full gradient over 400 timesteps of "
        "these data: the cosine is 0.90, and the norm 0.90 times the full one."
    )


def test_the_trainers_window_is_judged_and_not_a_shorter_one_beside_it():
    assert findings.of_bias(bias_of([32, 140, 400], [-0.5, 0.999])) == []


def test_nothing_is_reported_about_windows_of_an_untrained_network():
    every = [
        *findings.of_flow(LONG, 10),
        *findings.of_flow(SHORT, 200),
        *findings.of_flow(GradientFlow([0.0] * 9), 4),
        *findings.of_bias(bias_of([10, 40], [0.5])),
    ]
    assert len(every) == 5
    assert findings.before_training(every) == []
    broken = [
        *findings.of_flow(GradientFlow([1.2**k for k in range(40)]), 10),
        *findings.of_flow(GradientFlow([1.0, math.inf]), 10),
        *findings.of_bias(bias_of([10, 40], [-0.5])),
    ]
    assert findings.before_training(broken) == broken
    assert kinds(broken) == ["exploding", "not finite", "wrong way"]


@pytest.mark.parametrize(
    ("dead", "open_", "expected"),
    [
        ([1, 1, 0, 0], [0, 0, 0, 0], ["dead"]),
        ([1, 0, 0, 0], [1, 0, 0, 0], []),
        ([0, 0, 0, 0], [1, 1, 0, 0], ["saturated"]),
    ],
)
def test_half_of_the_units_make_a_finding(dead, open_, expected):
    ends = np.stack([np.zeros(4), open_, open_], axis=1).astype(bool)
    layer = LayerActivity(np.array(dead, bool), {"f": ends})
    assert kinds(findings.of_activity(Activity({"memory": layer}))) == expected


@pytest.mark.parametrize(
    ("gate", "side", "severity"),
    [("f", 1, "note"), ("f", 0, "warning"), ("z", 1, "note"), ("i", 1, "warning")],
)
def test_open_gates_that_keep_the_state_are_not_a_warning(gate, side, severity):
    ends = np.zeros((4, 3), bool)
    ends[:, [side, 2]] = True
    layer = LayerActivity(np.zeros(4, bool), {gate: ends})
    (found,) = findings.of_activity(Activity({"memory": layer}))
    assert (found.kind, found.severity) == ("saturated", severity)
    assert ("keep what the state holds" in found.words) == (severity == "note")


LOGS = {"loss": 1.0, "grad_norm": 2.0, "clipped_norm": 1.0, "clipped_fraction": 0.3}


@pytest.mark.parametrize(
    ("change", "before", "clips", "expected"),
    [
        ({}, {}, True, []),
        ({"clipped_fraction": 1.0}, {}, True, ["clips always"]),
        ({"clipped_fraction": 0.96}, {}, True, ["clips always"]),
        ({"clipped_fraction": 0.0}, {}, True, ["clips never"]),
        ({"clipped_fraction": 0.0}, {}, False, []),
        ({"grad_norm": 50.0}, {"grad_norm": 2.0}, True, ["growing"]),
        ({"grad_norm": 19.0}, {"grad_norm": 2.0}, True, []),
        ({"loss": math.nan}, {}, True, ["not finite"]),
        ({"grad_norm": math.inf}, {"grad_norm": 1.0}, False, ["not finite"]),
    ],
)
def test_logs_show_growth_and_clipping(change, before, clips, expected):
    assert kinds(findings.of_logs(LOGS | change, before, clips)) == expected


def test_logs_without_live_metrics_show_nothing():
    assert findings.of_logs({"loss": 1.0}, {}, True) == []
    assert findings.of_logs({}, {}, True) == []
