"""NaN is refused where it counts, and harmless where it does not."""

import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.data.finite import is_finite

NAN = np.nan


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nonfinite_values_are_found_in_rows_and_timesteps(value):
    array = np.zeros((3, 4, 2))
    assert is_finite(array)
    array[1, 2, 0] = value
    assert not is_finite(array)
    rows, steps = np.ones(3, bool), np.ones((3, 4), bool)
    assert not is_finite(array, rows) and not is_finite(array, steps)
    rows[1], steps[1, 2] = False, False
    assert is_finite(array, rows) and is_finite(array, steps)


def test_integers_are_always_finite():
    assert is_finite(np.zeros((2, 3), int))


def batches(targets, weights):
    sequences = [np.ones((3, 2)), np.ones((2, 2))]
    return bk.data.RaggedBatches(
        sequences,
        targets,
        sample_weight=weights,
        batch_size=2,
        window=3,
        shuffle=False,
    )


STEPS = [np.array([[1.0], [NAN], [3.0]]), np.array([[4.0], [5.0]])]
HARMLESS = {
    "a timestep": (STEPS, [np.array([1, 0, 1]), np.array([1, 1])]),
    "a sequence": (STEPS, np.array([0, 1])),
    "a sequence, (n, 1)": (STEPS, np.array([[0], [1]])),
    "one target": (np.array([NAN, 1.0]), np.array([0, 1])),
    "an output": ({"a": np.array([NAN, 1.0])}, {"a": np.array([0, 1])}),
}
COUNTS = {
    "no weights": (STEPS, None),
    "another timestep": (STEPS, [np.array([0, 1, 0]), np.array([0, 0])]),
    "another sequence": (STEPS, np.array([1, 0])),
    "a weight": ([np.ones((3, 1)), np.ones((2, 1))], np.array([NAN, 1.0])),
    "another output": ({"a": np.array([NAN, 1.0])}, {"a": np.array([1, 0])}),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_targets_of_weight_zero_may_be_nan(case):
    assert len(batches(*HARMLESS[case])) == 1


@pytest.mark.parametrize("case", COUNTS)
def test_targets_and_weights_that_count_must_be_finite(case):
    with pytest.raises(ValueError, match="must be finite"):
        batches(*COUNTS[case])
