"""What `Resume` refuses, and what it says before training."""

import datetime
import errno
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.resume import saves
from bptt_keras.resume.variables import Copies
from tests.resume.cases import (
    KINDS,
    InterruptAfter,
    Interrupted,
    generated,
    new_trainer,
    series,
    write_every_save,
)


@pytest.fixture(scope="module")
def trainer():
    keras.utils.set_random_seed(7)
    return new_trainer()


@pytest.fixture
def fit(trainer, tmp_path):
    """A short `fit` that saves into one folder; returns what it printed."""

    def run(*, using=None, resume=None, callbacks=(), **arguments):
        told = []
        resume = resume or bk.callbacks.Resume(
            tmp_path / "saves", every=1, print_fn=told.append
        )
        (using or trainer).fit(
            **{**KINDS["arrays in order"](), "epochs": 2, "verbose": 0, **arguments},
            callbacks=[*callbacks, resume],
        )
        return told

    return run


@pytest.mark.parametrize(
    ("every", "error", "message"),
    [
        (0, ValueError, "`every` must be positive. Received: every=0"),
        (-3, ValueError, "must be positive"),
        (datetime.timedelta(0), ValueError, "must be positive"),
        (1.5, TypeError, "an integer number of updates or a datetime.timedelta"),
        ("1m", TypeError, "every='1m' of type str"),
        (True, TypeError, "of type bool"),
    ],
    ids=str,
)
def test_an_interval_that_is_none_is_refused(every, error, message, tmp_path):
    with pytest.raises(error, match=message):
        bk.callbacks.Resume(tmp_path, every=every)


def other(values):
    values["x"] = values["x"] + 1
    return values


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (other(KINDS["arrays in order"]()), "data.digest"),
        ({"x": series(400).reshape(10, 40, 2), "y": None}, "data.shapes"),
        ({"batch_size": 5}, r"fit.batch_size: 4 before, 5 now"),
        ({"shuffle": True}, "fit.shuffle: false before, true now"),
        ({"steps_per_epoch": 2}, "fit.steps_per_epoch: null before, 2 now"),
        ({"callbacks": [keras.callbacks.TerminateOnNaN()]}, "callbacks: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_training_is_refused_by_the_first_difference(fit, arguments, named):
    fit()
    if arguments.get("y", ...) is None:
        arguments = {**arguments, "y": arguments["x"]}
    with pytest.raises(ValueError, match=f"of another training.*{named}"):
        fit(**arguments)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: new_trainer(window=5), "trainer.config.window: 10 before, 5 now"),
        (lambda: new_trainer(update=2), "trainer.config.update"),
        (
            lambda: new_trainer(bk.layers.GRU(5, return_sequences=True, dropout=0.2)),
            r"trainer.config.model.*units: 4 before, 5 now",
        ),
        (
            lambda: new_trainer(optimizer=keras.optimizers.Adam(1e-3)),
            "compile.optimizer",
        ),
    ],
    ids=["window", "update", "model", "optimizer"],
)
def test_another_model_or_trainer_is_refused(fit, make, named):
    fit()
    with pytest.raises(ValueError, match=f"of another training.*{named}"):
        fit(using=make())


@pytest.mark.parametrize(
    "accept", ["compile.optimizer", "compile.optimizer.config.learning_rate"]
)
@pytest.mark.quick(1)
def test_a_difference_that_is_accepted_is_not_refused(fit, tmp_path, accept):
    fit()
    told = []
    resume = bk.callbacks.Resume(
        tmp_path / "saves", accept=[accept], print_fn=told.append
    )
    other = new_trainer(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0))
    fit(using=other, resume=resume, epochs=3)
    assert told == ["Resuming after the end of epoch 2."]
    assert float(other.optimizer.learning_rate) == np.float32(1e-3)


@pytest.mark.parametrize("accept", ["compile", [1]], ids=str)
def test_what_is_accepted_must_be_a_list_of_names(tmp_path, accept):
    with pytest.raises(TypeError, match="`accept` must be a list of names"):
        bk.callbacks.Resume(tmp_path, accept=accept)


def test_fewer_epochs_than_have_begun_are_refused(fit):
    fit()
    with pytest.raises(ValueError, match="has begun epoch 2. Received: epochs=1"):
        fit(epochs=1)


def test_a_trainer_that_is_not_compiled_is_refused_as_by_keras(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 2)), bk.layers.GRU(2, return_sequences=True)]
    )
    trainer = bk.TruncatedBPTT(model, window=10)
    with pytest.raises(ValueError, match="compile"):
        trainer.fit(**KINDS["arrays"](), callbacks=[bk.callbacks.Resume(tmp_path)])


def test_only_one_callback_resumes(fit, tmp_path):
    with pytest.raises(ValueError, match="Only one callback"):
        fit(callbacks=[bk.callbacks.Resume(tmp_path / "other")])


def test_keras_own_backup_is_refused_beside_it(fit, tmp_path):
    with pytest.raises(ValueError, match="Leave `BackupAndRestore` out"):
        fit(callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])


def test_a_folder_that_another_training_uses_is_refused(fit, tmp_path):
    class Second(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            keras.utils.set_random_seed(7)
            other = new_trainer()
            resume = bk.callbacks.Resume(tmp_path / "saves")
            with pytest.raises(RuntimeError, match="Another training is saving into"):
                other.fit(**KINDS["arrays"](), verbose=0, callbacks=[resume])
            self.model.stop_training = True

    fit(callbacks=[Second()])


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
@pytest.mark.quick(1)
def test_a_damaged_save_is_named_and_the_one_before_it_used(fit, tmp_path, damage):
    for batches in (3, 3):  # Each writes one save at least, and is interrupted.
        with pytest.raises(Interrupted):
            fit(callbacks=[InterruptAfter(batches)])
    newest, before = saves.found(tmp_path / "saves")
    place = saves.read(before).content["place"]
    damage(newest)
    with pytest.raises(Interrupted):
        told = []
        fit(
            callbacks=[InterruptAfter(1)],
            resume=bk.callbacks.Resume(
                tmp_path / "saves", every=100, print_fn=told.append
            ),
        )
    assert told[0] == (
        f"{newest} is damaged: its bytes are not those that were written."
    )
    assert f"of epoch {place[0] + 1}." in told[1]


def test_any_byte_that_is_changed_is_noticed(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    save = saves.Save(1, {"place": 1}, {"variables": [np.arange(3.0), np.ones(2)]})
    path = saves.write(tmp_path, save)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(saves.Damaged):
            saves.read(path)
    path.write_bytes(whole)
    np.testing.assert_array_equal(saves.read(path).arrays["variables"][0], np.arange(3))


def test_if_all_saves_are_damaged_nothing_is_trained(fit, tmp_path):
    fit()
    for path in saves.found(tmp_path / "saves"):
        flip(path)
    with pytest.raises(ValueError, match="All saves in .* are damaged"):
        fit()


def test_pickles_are_not_read(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "was here"),)

    new = tmp_path / "new.npz"
    np.savez(new, content=np.array([Evil()], dtype=object))
    path = tmp_path / f"save-{1:012d}-{saves.digest_of_file(new)}.npz"
    new.rename(path)
    with pytest.raises(saves.Damaged, match="it cannot be read"):
        saves.read(path)
    assert not (tmp_path / "was here").exists()


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path):
    new = tmp_path / "new.npz"
    np.savez_compressed(new, content=np.zeros(10**7, np.uint8))
    path = tmp_path / f"save-{1:012d}-{saves.digest_of_file(new)}.npz"
    new.rename(path)
    with pytest.raises(saves.Damaged, match="content.npy is compressed"):
        saves.read(path)


def test_a_log_that_has_become_shorter_is_refused(fit, tmp_path, monkeypatch):
    write_every_save(monkeypatch)
    log = tmp_path / "log.csv"
    with pytest.raises(Interrupted):
        fit(callbacks=[InterruptAfter(7), keras.callbacks.CSVLogger(log)])
    log.write_text("")
    with pytest.raises(ValueError, match="Received: 0 bytes"):
        fit(callbacks=[InterruptAfter(None), keras.callbacks.CSVLogger(log)])


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        MemoryError("no memory"),
    ],
    ids=str,
)
@pytest.mark.quick(1)
def test_a_save_that_fails_is_a_warning_and_leaves_the_one_before(
    fit, tmp_path, monkeypatch, error
):
    with pytest.raises(Interrupted):
        fit(callbacks=[InterruptAfter(2)])
    before = saves.found(tmp_path / "saves")

    def half(file, *rest):
        file.write(b"half")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(saves, "_write_arrays", half)
        with pytest.warns(UserWarning, match=f"{error.args[-1]}.*It goes on"):
            fit(callbacks=[InterruptAfter(None)])
    names = {path.name for path in (tmp_path / "saves").iterdir()}
    assert names == {"lock", *(path.name for path in before)}
    # And from there it is resumed.
    told = fit(callbacks=[InterruptAfter(None)])
    assert told[0].startswith("Resuming after batch 1 of epoch 1")


def test_without_memory_for_copies_training_goes_on(fit, tmp_path, monkeypatch):
    def none(copies, *arguments):
        raise MemoryError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(Copies, "of", none)
        patched.setattr(Copies, "reserve", none)
        with pytest.warns(UserWarning, match="no memory.*It goes on"):
            fit(callbacks=[InterruptAfter(None)])
    assert not saves.found(tmp_path / "saves")


def test_a_folder_that_cannot_be_made_is_named_before_training(fit, tmp_path):
    (tmp_path / "file").touch()
    resume = bk.callbacks.Resume(tmp_path / "file" / "saves")
    with pytest.raises(NotADirectoryError, match="`folder` of `Resume` cannot be"):
        fit(resume=resume)


def test_data_whose_position_cannot_be_saved_are_named_before_training(fit):
    told = fit(x=generated(), y=None, batch_size=None, steps_per_epoch=2)
    assert told[0].startswith("The position in these data cannot be saved")
    assert "draw all batches before it once more" in told[0]


def test_a_pipeline_that_is_shuffled_without_a_seed_is_named(fit):
    x = series(400).reshape(20, 20, 2)
    pipeline = tf.data.Dataset.from_tensor_slices((x, x))
    tf.random.set_seed(None)
    told = fit(x=pipeline.shuffle(8).batch(4), y=None, batch_size=None)
    assert told[0].startswith("The data are shuffled without a seed")


def test_attributes_that_are_not_saved_are_named(fit):
    class Holds(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.count, self.lock, self.path = 0, object(), "log.txt"

    (told,) = fit(callbacks=[Holds()])
    assert told.startswith("Not saved, because they are neither numbers nor arrays")
    assert "Holds.lock." in told and "count" not in told and "path" not in told


def test_a_callback_may_say_what_its_state_is(fit, tmp_path):
    class Own(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.kept = None

        def get_state(self):
            return {"weights": np.arange(3), "name": ("a", 1.5), 3: None}

        def set_state(self, state):
            self.kept = state

    own = Own()
    with pytest.raises(Interrupted):
        fit(callbacks=[InterruptAfter(3), Own()])
    assert fit(callbacks=[InterruptAfter(None), own])[0].startswith("Resuming")
    assert own.kept["weights"].tolist() == [0, 1, 2]
    assert own.kept["name"] == ("a", 1.5) and own.kept[3] is None
