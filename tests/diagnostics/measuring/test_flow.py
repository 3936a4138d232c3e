"""A measured flow in numbers, words and pictures."""

import numpy as np
import pytest

from bptt_keras.diagnostics import GradientFlow, plot_flows


def geometric(factor, longest=50):
    return GradientFlow(
        factor ** np.arange(longest), jacobian=factor ** np.arange(1, longest + 1)
    )


def test_half_life_horizon_and_window_of_a_geometric_decay():
    flow = geometric(0.8)
    # 0.8^3 = 0.512, 0.8^4 = 0.41.
    assert flow.half_life == 4
    np.testing.assert_allclose(flow.decay, 0.8, rtol=1e-9)
    # 0.8^K < 0.05 first at K = 14.
    assert flow.horizon(0.05) == 14
    # From lag K on, tail = 5 * 0.8^(K - 1), and with phi_0 = phi_1 all is 6. The bound
    # tail / (6 - 2 tail) is at most 0.1 if 0.8^(K - 1) <= 0.1: from K = 12 on.
    assert flow.window(0.1) == 12


@pytest.mark.parametrize(
    ("flow", "kind", "words"),
    [
        (
            geometric(0.8),
            "vanishing",
            "half is gone after 4 steps; 12 steps back hold all but",
        ),
        (geometric(0.5, 8), "vanishing", "half is gone after 1 step"),
        (geometric(1.1), "exploding", "by 1.100 times a timestep"),
        (
            geometric(0.99),
            "lasting",
            "of the gradient one step back, 61 % is left after 50 timesteps",
        ),
        (GradientFlow(np.zeros(9)), "none", "No gradient reaches back"),
        (GradientFlow([1.0, np.inf, 2.0]), "not finite", "not finite"),
    ],
)
def test_a_flow_is_put_into_words(flow, kind, words):
    assert flow.kind() == kind
    assert words in flow.verdict() == str(flow)


def test_words_say_up_to_which_lag_was_measured_and_on_which_data():
    words = geometric(0.8).verdict()
    assert "less than 1 % lies beyond 21" in words
    assert "at lags up to 50 of these data" in words
    assert "buys nothing" not in words


def test_nothing_is_said_about_lags_beyond_those_measured():
    # The last lag measured holds more than 1 % of all.
    flow = GradientFlow([1.0, 0.1, 0.02])
    assert flow.kind() == "vanishing" and flow.horizon() == 3
    assert "beyond" not in flow.verdict()


def test_what_does_not_decay_has_no_window_and_no_half_life():
    flow = geometric(1.0)
    assert flow.window() is None and flow.half_life is None
    assert geometric(1.2).window() is None


def test_without_any_gradient_numbers_are_nan_or_none():
    flow = GradientFlow(np.zeros(5))
    assert np.isnan(flow.decay) and flow.window() is None


def test_fewer_than_two_norms_are_refused():
    with pytest.raises(ValueError, match="at least two numbers.*\\(1,\\)"):
        GradientFlow([1.0])


def test_a_plot_draws_each_flow_and_its_layers(tmp_path):
    layers = {"lower": np.ones(50), "upper": np.full(50, 0.5)}
    flow = GradientFlow(0.9 ** np.arange(50), layers, 0.9 ** np.arange(50))
    figure = flow.plot(tmp_path / "flow.png")
    left, right = figure.axes
    labels = [line.get_label() for line in left.get_lines()]
    assert labels == ["all layers", "lower", "upper"]
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), flow.norms)
    assert (tmp_path / "flow.png").stat().st_size > 5000
    both = plot_flows({"a": flow, "b": geometric(0.5)})
    assert len(both.axes[1].get_lines()) == 3
    with pytest.raises(ValueError, match="at least one flow"):
        plot_flows({})
