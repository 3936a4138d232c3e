"""How series are read for classification."""

import numpy as np

from zoo.cases.labelled import LabelledCases
from zoo.classification.inputs import better_scaling, case_inputs
from zoo.classification.recipe import ClassificationRecipe


def test_whole_strides_are_read_side_by_side():
    recipe = ClassificationRecipe(stride=3)
    series = np.arange(8.0).reshape(4, 2)
    scaling = np.zeros(2), np.ones(2)
    (read,) = case_inputs([series], scaling, recipe)
    # The last timestep fills up the second stride.
    assert read.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 6, 7, 6, 7]]


def test_both_directions_are_read_side_by_side():
    recipe = ClassificationRecipe(stride=2, directions="both")
    (read,) = case_inputs([np.arange(3.0)[:, None]], (np.zeros(1), np.ones(1)), recipe)
    assert read.tolist() == [[0, 2, 1, 2], [2, 1, 2, 0]]
    assert recipe.features(1) == 4


def test_scaling_is_by_the_training_set_or_by_case():
    scaling = np.array([10.0]), np.array([2.0])
    series = [np.array([[8.0], [12.0]])]
    (read,) = case_inputs(series, scaling, ClassificationRecipe())
    assert read.ravel().tolist() == [-1, 1]
    other = [np.array([[0.0], [100.0], [50.0]])]
    (read,) = case_inputs(other, scaling, ClassificationRecipe(scaling="cases"))
    np.testing.assert_allclose(read.ravel(), [-(1.5**0.5), 1.5**0.5, 0], rtol=1e-6)


def test_the_scaled_training_set_has_mean_0_and_deviation_1():
    draw = np.random.default_rng(0)
    made = [(draw.normal(9 * (i % 2), size=(10, 1)), "ab"[i % 2]) for i in range(20)]
    cases = LabelledCases.of("made", made, made[:4], "made")
    read = case_inputs(cases.train[0], cases.scaling(), ClassificationRecipe())
    every = np.concatenate(read)
    np.testing.assert_allclose([every.mean(), every.std()], [0, 1], atol=1e-5)


def test_scaling_by_case_is_chosen_where_it_finds_better_neighbours():
    draw = np.random.default_rng(0)
    shapes = np.sin(np.linspace(0, 6, 30)), np.cos(np.linspace(0, 6, 30))
    cases = [
        ((draw.uniform(1, 9) * shapes[i % 2] + draw.uniform(-50, 50))[:, None], i % 2)
        for i in range(40)
    ]
    assert better_scaling(LabelledCases.of("", cases, cases, "")) == "cases"
    flat = [(np.full((30, 1), i % 2) + draw.normal(0, 0.1), i % 2) for i in range(40)]
    assert better_scaling(LabelledCases.of("", flat, flat, "")) == "channels"
