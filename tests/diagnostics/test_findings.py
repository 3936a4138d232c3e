"""What is found in measurements and logs."""

import math

import numpy as np
import pytest

from bptt_keras.diagnostics import (
    Activity,
    GradientFlow,
    LayerActivity,
    TruncationBias,
    findings,
)


def kinds(found):
    return [finding.kind for finding in found]


@pytest.mark.parametrize(
    ("norms", "window", "expected"),
    [
        ([1.2**k for k in range(40)], 10, ["exploding"]),
        ([1.0] * 20 + [math.inf] * 20, 10, ["not finite"]),
        ([0.0] * 40, 10, ["vanishing"]),
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


def test_a_window_far_beyond_the_horizon_is_told_in_numbers():
    flow = GradientFlow([0.5**k for k in range(40)])
    words = findings.of_flow(flow, 140)[1].words
    assert "The window of 140 timesteps is far beyond the horizon" in words
    assert "beyond 7. One of 28 would teach the same with 20 % of the memory" in words


def test_a_loss_at_the_end_reaches_back_the_whole_window():
    flow = GradientFlow([0.5**k for k in range(40)])  # a horizon of 7
    assert kinds(findings.of_flow(flow, 20)) == ["vanishing"]
    found = findings.of_flow(flow, 20, ends=True)
    assert kinds(found) == ["vanishing", "window too long"]
    assert "One of 7 would teach the same" in found[1].words


def test_a_gradient_that_points_the_wrong_way_is_a_warning():
    (found,) = findings.of_bias(TruncationBias([10, 40], [-0.3, 1], [2, 1]))
    assert found.kind == "wrong way" and found.severity == "warning"
    assert findings.of_bias(TruncationBias([10, 40], [0.3, 1], [2, 1])) == []


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
def test_logs_tell_of_growth_and_clipping(change, before, clips, expected):
    assert kinds(findings.of_logs(LOGS | change, before, clips)) == expected


def test_logs_without_live_metrics_tell_nothing():
    assert findings.of_logs({"loss": 1.0}, {}, True) == []
    assert findings.of_logs({}, {}, True) == []
