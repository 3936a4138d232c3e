import contextlib

import numpy as np
import pytest

import bptt_keras as bk
import zoo
from zoo.models.weights import save_weights
from zoo.system.errors import UserError, ZooError

resource = pytest.importorskip("resource")


@contextlib.contextmanager
def full_disk(room):
    """Within: no file of this process has room for more bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("half", [False, True])
def test_weights_are_what_keras_reads(untrained, tmp_path, half):
    path = tmp_path / "a.weights.h5"
    before = untrained.model.get_weights()
    save_weights(untrained.model, path, half=half)
    for weight in untrained.model.weights:
        weight.assign(np.zeros(weight.shape))
    untrained.model.load_weights(path)
    for old, new in zip(before, untrained.model.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-3 if half else 0, atol=1e-7)


@pytest.mark.parametrize("room", [0, 100, 2000, 8000])
def test_a_full_disk_is_one_sentence_and_leaves_the_older_file(
    untrained, tmp_path, room
):
    path = tmp_path / "a.weights.h5"
    save_weights(untrained.model, path)
    before = path.read_bytes()
    assert len(before) > 8000
    with full_disk(room), pytest.raises(ZooError, match=f"no room for {path}"):
        save_weights(untrained.model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_preset_that_found_no_room_leaves_the_older_one(untrained, tmp_path):
    zoo.save_to_preset(tmp_path / "preset", untrained)
    with full_disk(3000), pytest.raises(ZooError, match="no room for") as caught:
        zoo.save_to_preset(tmp_path / "preset", untrained)
    assert not isinstance(caught.value, UserError)
    assert str(caught.value).startswith(f"There is no room for {tmp_path}/preset (")
    zoo.from_preset(tmp_path / "preset")
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


def test_an_optimizer_is_saved_with_its_trainer(untrained, tmp_path):
    path = tmp_path / "a.weights.h5"
    trainer = bk.TruncatedBPTT(untrained.model, window=5)
    trainer.compile("adam", "mse")
    trainer.optimizer.build(untrained.model.trainable_variables)
    trainer.optimizer.iterations.assign(7)
    save_weights(trainer, path)
    trainer.optimizer.iterations.assign(0)
    trainer.load_weights(path)
    assert int(trainer.optimizer.iterations) == 7
