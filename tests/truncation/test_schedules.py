"""Schedules cut where their definitions say."""

import random

import pytest

from bptt_keras.truncation import ARTBP, AdaptiveWindow, FixedWindow, VariableWindow

LENGTHS = [1, 2, 3, 7, 10, 24]


def covered_once(spans, length):
    steps = [t for span in spans for t in range(span.first_new, span.stop)]
    return steps == list(range(length))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("window", [1, 4, 9, 30])
def test_windows_tile_the_sequence(length, window):
    spans = FixedWindow(window).spans(length)
    assert covered_once(spans, length)
    assert all(span.start == span.first_new for span in spans)
    assert all(span.stop == span.resume for span in spans)
    assert all(span.stop - span.start == window for span in spans[:-1])


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("window", "stride"), [(4, 1), (6, 2), (5, 2), (9, 7), (3, 3)])
def test_windows_and_strides_follow_their_definition(length, window, stride):
    spans = FixedWindow(window, stride).spans(length)
    count = -(-length // stride)
    assert [(s.start, s.stop) for s in spans] == [
        (max(0, (j + 1) * stride - window), min((j + 1) * stride, length))
        for j in range(count)
    ]
    assert covered_once(spans, length)
    assert [s.resume for s in spans[:-1]] == [s.start for s in spans[1:]]


@pytest.mark.parametrize("lead", [0, 1, 3, 4])
def test_windows_reach_into_the_steps_before_the_batch(lead):
    spans = FixedWindow(6, 2).spans(7, lead)
    assert [s.start for s in spans] == [max(-lead, j) for j in (-4, -2, 0, 2)]
    # 7 steps end in the middle of a stride; the next batch starts the next one.
    assert spans[-1].resume == 3


def test_the_mean_horizon_is_that_of_the_steps_of_a_window():
    for window, stride in [(1, 1), (2, 2), (7, 7), (64, 64), (8, 2), (5, 1)]:
        schedule = FixedWindow(window, stride)
        span = schedule.spans(100 * window)[-2]
        reach = [t - span.start + 1 for t in range(span.first_new, span.stop)]
        assert schedule.mean_horizon == sum(reach) / len(reach)


def test_a_window_of_none_is_the_whole_batch():
    assert [span[:4] for span in FixedWindow(None).spans(9)] == [(0, 0, 9, 9)]
    assert FixedWindow(None).mean_horizon is None


@pytest.mark.parametrize("length", LENGTHS)
def test_one_loss_at_the_end_has_the_last_window(length):
    for schedule in (FixedWindow(4), AdaptiveWindow(4)):
        assert schedule.last(length)[:3] == (max(0, length - 4),) * 2 + (length,)
    assert FixedWindow(None).last(length)[:3] == (0, 0, length)
    for schedule in (VariableWindow(4, multiple=1, shortest=1), ARTBP(3)):
        last = schedule.last(length)
        assert 0 <= last.start < length and last.stop == length


def test_variable_lengths_are_bounded_multiples_near_their_base():
    schedule = VariableWindow(70, seed=0)
    lengths = [schedule.draw() for _ in range(20_000)]
    assert all(length % 10 == 0 and 10 <= length <= 80 for length in lengths)
    # 95 % near 70, 5 % near 35.
    assert abs(sum(lengths) / len(lengths) - (0.95 * 70 + 0.05 * 35)) < 0.5
    assert 0.03 < sum(length < 50 for length in lengths) / len(lengths) < 0.07


def test_short_variable_windows_are_drawn_finely():
    schedule = VariableWindow(4, shortest=1, deviation=1.0, full=1.0, seed=0)
    lengths = [schedule.draw() for _ in range(2_000)]
    assert {3, 4, 5} <= set(lengths) and abs(sum(lengths) / 2_000 - 4) < 0.2


def test_variable_lengths_respect_the_shortest():
    schedule = VariableWindow(6, deviation=5.0, shortest=3, multiple=2, seed=0)
    lengths = {schedule.draw() for _ in range(2_000)}
    assert min(lengths) == 4 and max(lengths) == 16


def test_variable_windows_cover_the_batch_and_scale_the_rate():
    spans = VariableWindow(20, seed=3).spans(333)
    assert covered_once(spans, 333)
    assert all(span.rate == (span.stop - span.start) / 20 for span in spans)


@pytest.mark.parametrize("kind", [VariableWindow, ARTBP])
def test_a_seed_repeats_the_draws_and_none_uses_pythons(kind):
    assert kind(20, seed=1).spans(500) == kind(20, seed=1).spans(500)
    assert kind(20, seed=1).spans(500) != kind(20, seed=2).spans(500)
    random.seed(5)
    one = kind(20).spans(500)
    random.seed(5)
    assert kind(20).spans(500) == one
    schedule = kind(20, seed=1)
    assert schedule.spans(500) != schedule.spans(500)
    schedule.reseed(2)
    assert schedule.spans(500) == kind(20, seed=2).spans(500)


@pytest.mark.parametrize(("alpha", "p99"), [(3, 139), (4, 116), (6, 90)])
def test_randomised_lengths_have_their_distribution(alpha, p99):
    schedule = ARTBP(16, alpha=alpha, longest=100_000, seed=0)
    lengths = sorted(schedule.draw() for _ in range(100_000))
    assert abs(sum(lengths) / len(lengths) - 16) < 0.5
    assert abs(lengths[99_000] - p99) < 0.08 * p99


def test_cut_probability_and_factors():
    schedule = ARTBP(16, alpha=6, longest=50)
    assert schedule.cut_probability(1) == 5 / (4 * 16 + 1)
    assert schedule.cut_probability(49) == 5 / (4 * 16 + 49)
    assert schedule.cut_probability(50) == 1
    factors = schedule.factors()
    assert len(factors) == 50 and factors[0] == 0
    assert factors[3] == 1 / (1 - schedule.cut_probability(3))
    assert max(s.stop - s.start for s in schedule.spans(20_000)) <= 50


def test_an_adaptive_window_follows_a_geometric_decay():
    schedule = AdaptiveWindow(8, tolerance=0.01, longest=64, multiple=1)
    schedule.observe([0.8**k for k in range(65)])
    assert abs(schedule.decay - 0.8) < 1e-9

    def bias(window):
        tail = 0.8**window / 0.2
        return tail / ((1 - 0.8**window) / 0.2 - tail)

    assert bias(schedule.window) <= 0.01 < bias(schedule.window - 1)


def test_an_adaptive_window_is_longest_where_gradients_do_not_vanish():
    schedule = AdaptiveWindow(8, longest=32)
    schedule.observe([1.1**k for k in range(33)])
    assert schedule.decay > 1 and schedule.window == 32


def test_an_adaptive_window_is_a_multiple():
    schedule = AdaptiveWindow(8, longest=64, multiple=8)
    schedule.observe([0.5**k for k in range(65)])
    assert schedule.window == 8


@pytest.mark.parametrize("norms", [[0.0] * 65, [float("nan")] * 65, [1.0] * 3])
def test_a_useless_measurement_changes_nothing(norms):
    schedule = AdaptiveWindow(24, longest=64)
    schedule.observe(norms)
    assert schedule.window == 24 and schedule.norms is None


def test_it_measures_every_few_epochs():
    schedule = AdaptiveWindow(8, every=3)
    wanted = []
    for epoch in range(7):
        schedule.begin_epoch(epoch)
        wanted.append(schedule.wants_norms)
    assert wanted == [True, False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: FixedWindow(0), ValueError, "window"),
        (lambda: FixedWindow(2.5), TypeError, "window"),
        (lambda: FixedWindow(4, 0), ValueError, "stride"),
        (lambda: FixedWindow(4, 5), ValueError, "stride"),
        (lambda: FixedWindow(4, "2"), TypeError, "stride"),
        (lambda: FixedWindow(None, 2), ValueError, "stride"),
        (lambda: VariableWindow(0), ValueError, "window"),
        (lambda: VariableWindow(9, full=1.5), ValueError, "full"),
        (lambda: VariableWindow(9, deviation=-1), ValueError, "deviation"),
        (lambda: VariableWindow(9, shortest=0), ValueError, "shortest"),
        (lambda: VariableWindow(9, longest=4), ValueError, "longest"),
        (lambda: VariableWindow(9, multiple=0), ValueError, "multiple"),
        (lambda: VariableWindow(9, multiple=10), ValueError, "multiple"),
        (lambda: VariableWindow(9, deviation=float("inf")), ValueError, "deviation"),
        (lambda: ARTBP(1), ValueError, "mean"),
        (lambda: ARTBP("16"), TypeError, "mean"),
        (lambda: ARTBP(16, alpha=2), ValueError, "alpha"),
        (lambda: ARTBP(16, longest=0), ValueError, "longest"),
        (lambda: AdaptiveWindow(0), ValueError, "window"),
        (lambda: AdaptiveWindow(9, longest=8), ValueError, "window"),
        (lambda: AdaptiveWindow(9, tolerance=0), ValueError, "tolerance"),
        (lambda: AdaptiveWindow(9, every=0), ValueError, "every"),
        (lambda: AdaptiveWindow(2, longest=8, tail_from=7), ValueError, "tail_from"),
        (lambda: AdaptiveWindow(9, multiple=0), ValueError, "multiple"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, error, name):
    with pytest.raises(error, match=f"`{name}`"):
        make()
