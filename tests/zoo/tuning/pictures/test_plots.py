import numpy as np
import pytest

from tests.zoo.tuning.made_up import JOBS, SPACE, TRIALS, job, measured
from zoo.tuning.job import Trial
from zoo.tuning.pictures import plots

SIGNATURE = b"\x89PNG\r\n\x1a\n"


# The quick jobs are the usual one and those that leave little to draw.
QUICK = ["mixed", "without trials", "all failed"]


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in JOBS],
)
@pytest.mark.parametrize("draw", ["against", "parallel", "importance", "progress"])
def test_every_job_can_be_drawn(tmp_path, name, draw):
    if draw == "importance":
        pytest.importorskip("sklearn")
    getattr(plots, f"plot_{draw}")(tmp_path / "a.png", JOBS[name])
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)
    assert len(list(tmp_path.iterdir())) == 1


def points(axes):
    """Places of the marks, by the legend's label."""
    return {
        marks.get_label(): np.asarray(marks.get_offsets()) for marks in axes.collections
    }


def panel(made, name):
    return plots.against(made, [name]).axes[0]


def test_each_trial_is_drawn_at_its_value_and_objective():
    axes = panel(job(), "units")
    marks = points(axes)
    np.testing.assert_allclose(marks["completed"], [[64, 2.5], [64, 2.0]])
    np.testing.assert_allclose(marks["pruned"], [[64, 1.5]])
    np.testing.assert_allclose(marks["cut"], [[64, 2.125]])
    np.testing.assert_allclose(marks["best: 2 (trial 02)"], [[64, 2.0]])
    assert axes.get_xscale() == "log"
    assert panel(job(), "clip").get_xscale() == "linear"


def test_failed_and_diverged_trials_are_drawn_above_all_others():
    axes = panel(job(), "units")
    marks = points(axes)
    ((_, beyond),), ((_, failed),) = marks["above 2.5"], marks["failed"]
    assert 2.5 < beyond < failed < axes.get_ylim()[1] < 4
    assert all(tick < beyond for tick in axes.get_yticks())


def test_where_higher_is_better_diverged_trials_are_drawn_below():
    made = measured([0.9, 0.8, 0.85, -1e6], higher=True, references={})
    axes = panel(made, "units")
    ((_, beyond),) = points(axes)["below 0.8"]
    assert axes.get_ylim()[0] < beyond < 0.8


def test_choices_are_strips_in_their_order():
    axes = panel(job(), "layer")
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["lstm", "gru"]
    ((x, y),) = points(axes)["best: 2 (trial 02)"]
    assert abs(x) < 0.3 and y == 2.0


def test_levels_are_lines_and_distant_ones_are_named():
    axes = panel(job(references={"default": 2.25, "far": 90.0}), "units")
    assert [list(line.get_ydata()) for line in axes.lines if len(line.get_xdata())] == [
        [2.25, 2.25]
    ]
    words = axes.get_legend_handles_labels()[1]
    assert "default: 2.25" in words and "far: 90 (above the picture)" in words


def test_a_hyperparameter_of_some_trials_says_of_how_many():
    assert panel(job(), "clip").get_xlabel() == "clip (1 of 9 trials)"
    assert panel(job(), "units").get_xlabel() == "units"


def test_all_panels_have_the_same_vertical_axis():
    every = plots.against(job()).axes
    assert len(every) == len(SPACE)
    assert len({axes.get_ylim() for axes in every}) == 1


def test_a_name_that_no_trial_has_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: width"):
        plots.plot_against(tmp_path / "a.png", job(), ["units", "width"])


def test_progress_is_the_best_so_far():
    made = measured([1e6, 3.0, 3.5, 2.0, 2.5], references={})
    (axes,) = plots.progress(made).axes
    (steps,) = [line for line in axes.lines if line.get_label() == "best so far"]
    np.testing.assert_equal(steps.get_ydata(), [np.nan, 3.0, 3.0, 2.0, 2.0, 2.0])


def test_a_pruned_trial_is_no_progress():
    (axes,) = plots.progress(job(TRIALS[:4])).axes
    (steps,) = [line for line in axes.lines if line.get_label() == "best so far"]
    assert list(steps.get_ydata()) == [2.5, 2.5, 2.0, 2.0, 2.0]


def test_parallel_lines_end_at_the_objective():
    (axes,) = plots.parallel(measured([2.0, 3.0, 1e6], references={})).axes
    whole = [line for line in axes.lines if len(line.get_xdata()) == len(SPACE) + 1]
    assert sorted(line.get_ydata()[-1] for line in whole) == [0, 1, 1]
    best = max(whole, key=lambda line: line.get_linewidth())
    assert best.get_ydata()[-1] == 0


def test_parallel_lines_of_inactive_hyperparameters_run_below():
    (axes,) = plots.parallel(job(TRIALS[:2])).axes
    with_result, failed = (
        next(line for line in axes.lines if len(line.get_xdata()) == count)
        for count in (len(SPACE) + 1, len(SPACE))
    )
    assert with_result.get_ydata()[4] < -0.05
    assert failed.get_ydata()[4] == pytest.approx(1 / 3, abs=0.05)


def test_the_most_important_bar_is_on_top():
    pytest.importorskip("sklearn")
    made = measured(
        [2 + abs(i % 7 - 3) for i in range(21)],
        lambda i: {"units": 32 + i % 7, "clip": 0.5 + (i * 5 % 11) / 10},
        space={name: SPACE[name] for name in ("clip", "units")},
    )
    (axes,) = plots.importances(made).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["clip", "units"]
    assert "21 trials" in axes.get_xlabel()


def test_too_few_trials_are_counted_in_the_picture():
    (axes,) = plots.importances(job([Trial("0", "completed", {"units": 64}, 1.0)])).axes
    assert not axes.patches
    assert axes.texts[0].get_text() == "1 trial with a result, of 8 that are needed"
