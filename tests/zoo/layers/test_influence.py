import numpy as np

import bptt_keras as bk
from tests.training.influence import trainer_of
from zoo.layers import Influence
from zoo.models.config import from_config, to_config


def test_it_is_the_recurrence_of_the_paper():
    a = 0.5 * (np.eye(23) + np.eye(23, k=1))
    v, s = np.repeat([1.0, -1.0], [10, 13]), np.ones(23)
    outputs = np.array(Influence()(np.zeros((1, 60, 1), "float32")))[0, :, 0]
    for output in outputs:
        s = a @ s + 0.5 * v
        np.testing.assert_allclose(output, s[0], rtol=1e-5, atol=1e-5)


def test_it_equals_the_cell_in_the_tests_of_the_library():
    x = np.zeros((1, 60, 1), "float32")
    np.testing.assert_allclose(Influence()(x), trainer_of(5, 1e-3).model(x), rtol=1e-5)


def test_a_preset_holds_it_and_its_state_is_carried():
    import keras

    model = keras.Sequential([keras.Input((None, 1)), Influence()])
    again = from_config(to_config(model))
    step, x = bk.PureStep(again), np.zeros((2, 9, 1), "float32")
    first, state = step(x[:, :4])
    second, _ = step(x[:, 4:], state)
    np.testing.assert_allclose(
        np.concatenate([first, second], axis=1), model(x), rtol=1e-6
    )
