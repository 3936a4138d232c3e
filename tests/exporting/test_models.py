"""Models of every shape are exported, or refused by name."""

import keras
import pytest

import bptt_keras as bk
from tests.exporting.layers import FORMATS
from tests.state.models import MODELS

# Converters have no counterpart for these.
REFUSED: dict[tuple[str, str], str] = {}


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_a_single_timestep_of_every_model_passes(name, format, tmp_path):
    keras.utils.set_random_seed(20)
    model, inputs = MODELS[name]()
    path = tmp_path / FORMATS[format]
    if (name, format) in REFUSED:
        with pytest.raises(bk.ExportError, match=REFUSED[name, format]):
            bk.export(model, path, format, rows=2, reset=True, example=inputs)
        assert not [*tmp_path.iterdir()]
        return
    said = bk.export(model, path, format, rows=2, reset=True, example=inputs)
    assert said["proof"]["largest_difference"] <= said["proof"]["allowed_difference"]
    assert len(said["state"]) == sum(
        len(states) for states in bk.PureStep(model).initial_state(1).values()
    )
