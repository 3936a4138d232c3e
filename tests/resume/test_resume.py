"""`Resume`: a training that was interrupted ends like one that was not."""

import signal

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.resume.variables import values_of, variables_of
from tests.resume.cases import (
    KINDS,
    InterruptAfter,
    Interrupted,
    lines_without_speed,
    new_trainer,
    series,
    without_speed,
    write_every_save,
)


class Rerun:
    """The same program, run again and again in one process.

    Args:
        folder: Where it saves.
        data: Function to the arguments of `fit`.
        make: Function to a trainer.
        callbacks: Function to more callbacks.
        **options: More arguments of `fit`.
    """

    def __init__(self, folder, data, make=new_trainer, callbacks=lambda: [], **options):
        self.folder, self.data, self.callbacks = folder, data, callbacks
        self.options = {"epochs": 3, "verbose": 0, **options}
        self.make = make
        self.renew()

    def renew(self):
        """Makes the trainer anew, as a new process does."""
        keras.utils.set_random_seed(7)
        self.trainer = self.make()
        self._begun = None

    def __call__(self, name, *, after=None, every=1, told=None, accept=()):
        """Runs the program until its end, or until it is interrupted."""
        keras.utils.set_random_seed(8)
        trainer = self.trainer
        variables = [*trainer.model.variables, *trainer.optimizer.variables]
        # As a new process has them; those that are made in training are made anew.
        if self._begun is None:
            self._begun = {id(v): v.numpy() for v in variables}
        for variable in variables:
            known = self._begun.get(id(variable))
            variable.assign(np.zeros(variable.shape) if known is None else known)
        trainer.reset_metrics()
        folder = self.folder / name
        csv = self.folder / f"{name}.csv"
        callbacks = [
            InterruptAfter(after),
            keras.callbacks.CSVLogger(csv),
            *self.callbacks(),
            bk.callbacks.Resume(
                folder,
                every=every,
                accept=accept,
                print_fn=([] if told is None else told).append,
            ),
        ]
        history = trainer.fit(
            **{**self.options, **self.data()}, callbacks=callbacks
        ).history
        weights = [v.numpy() for v in (*trainer.weights, *trainer.optimizer.variables)]
        return weights, without_speed(history), lines_without_speed(csv)


def require_same(result, expected):
    for a, b in zip(result[0], expected[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert result[1] == expected[1]
    assert result[2] == expected[2]


def interrupt(run, name, after, **options):
    with pytest.raises(Interrupted):
        run(name, after=after, **options)


QUICK_KINDS = ("arrays", "pack", "generator")


@pytest.mark.parametrize("kind", QUICK_KINDS)
@pytest.mark.quick(1)
def test_every_kind_of_data_resumes_exactly(kind, tmp_path):
    run = Rerun(tmp_path, KINDS[kind], validation_data=held_out())
    expected = run("whole")
    # In the first epoch, soon again, and in the second.
    interrupt(run, "cut", 3)
    interrupt(run, "cut", 1)
    interrupt(run, "cut", 6)
    require_same(run("cut"), expected)


def held_out():
    x = series(40).reshape(2, 20, 2)
    return x, x


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_batch_of_every_kind_of_data_resumes_exactly(kind, tmp_path, monkeypatch):
    write_every_save(monkeypatch)
    run = Rerun(tmp_path, KINDS[kind])
    expected = run("whole")
    # Passes have 3 to 7 batches.
    for after in range(2, 10):
        try:
            run(f"cut{after}", after=after)
        except Interrupted:
            require_same(run(f"cut{after}"), expected)


OPTIONS = {
    "updates of three windows": lambda: new_trainer(update=3),
    "an update a sequence": lambda: new_trainer(update="sequence"),
    "overlapping": lambda: new_trainer(window=8, stride=3),
    "random windows": lambda: new_trainer(window=bk.truncation.VariableWindow(6)),
    "adaptive windows": lambda: new_trainer(
        window=bk.truncation.AdaptiveWindow(4, longest=12)
    ),
    "noise": lambda: new_trainer(state_noise=0.1, state_dropout=0.2),
    "recomputation": lambda: new_trainer(window=None, recompute="sqrt"),
    "two shards": lambda: new_trainer(shards=2),
    "a cell without a native kernel": lambda: new_trainer(
        bk.layers.IndRNN(4, return_sequences=True)
    ),
    "adaptive clipping": lambda: new_trainer(
        optimizer=bk.clipping.ClippedOptimizer(
            keras.optimizers.SGD(0.1, momentum=0.9),
            bk.clipping.AutoClip(50, history=8),
        )
    ),
    "a schedule of the learning rate": lambda: new_trainer(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(0.01, 30), use_ema=True
        )
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_resumes_exactly(option, tmp_path):
    run = Rerun(tmp_path, KINDS["arrays"], OPTIONS[option])
    expected = run("whole")
    # What a trainer draws is a state of its own.
    run.renew()
    interrupt(run, "cut", 4)
    run.renew()
    interrupt(run, "cut", 5)
    run.renew()
    require_same(run("cut"), expected)


def compiled(**options):
    trainer = new_trainer()
    trainer.compile("adam", "mse", metrics=["mae"], **options)
    return trainer


@pytest.mark.parametrize(
    "options",
    [{"steps_per_execution": 2}, {"run_eagerly": True}, {"jit_compile": False}],
    ids=str,
)
@pytest.mark.quick(1)
def test_every_way_to_compile_resumes_exactly(options, tmp_path):
    run = Rerun(tmp_path, KINDS["arrays"], lambda: compiled(**options), epochs=2)
    expected = run("whole")
    interrupt(run, "cut", 2)
    interrupt(run, "cut", 3)
    require_same(run("cut"), expected)


CALLBACKS = {
    "EarlyStopping": lambda: [
        keras.callbacks.EarlyStopping("loss", patience=1, min_delta=10.0)
    ],
    "best weights": lambda: [
        keras.callbacks.EarlyStopping(
            "loss", patience=1, mode="max", restore_best_weights=True
        )
    ],
    "ReduceLROnPlateau": lambda: [
        keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=0, min_delta=10.0)
    ],
    "LearningRateScheduler": lambda: [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    ],
    "one of the user": lambda: [Counts()],
}


class Counts(keras.callbacks.Callback):
    """Changes the learning rate by its own count of batches."""

    def __init__(self):
        super().__init__()
        self.seen = {"batches": 0, "losses": []}

    def on_train_batch_end(self, batch, logs=None):
        self.seen["batches"] += 1
        self.seen["losses"].append(logs["loss"])
        self.model.optimizer.learning_rate = 0.01 / self.seen["batches"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_go_on_from_their_state(name, tmp_path):
    run = Rerun(tmp_path, KINDS["streams"], callbacks=CALLBACKS[name], epochs=5)
    expected = run("whole")
    for after in (5, 3, 6):
        try:
            run("cut", after=after)
        except Interrupted:
            continue
    require_same(run("cut"), expected)


def test_it_changes_nothing_by_itself(tmp_path):
    results = []
    for resumes in (False, True):
        keras.utils.set_random_seed(7)
        trainer = new_trainer()
        callbacks = [bk.callbacks.Resume(tmp_path, every=1)] if resumes else []
        history = trainer.fit(
            **KINDS["arrays"](),
            epochs=2,
            verbose=0,
            validation_data=held_out(),
            callbacks=callbacks,
        ).history
        results.append(([v.numpy() for v in trainer.weights], history))
    for a, b in zip(*(weights for weights, _ in results), strict=True):
        np.testing.assert_array_equal(a, b)
    plain, saved = (without_speed(history) for _, history in results)
    assert plain == saved


@pytest.mark.slow
def test_a_training_that_is_done_is_not_repeated_but_may_get_longer(tmp_path):
    run = Rerun(tmp_path, KINDS["streams"])
    longer = Rerun(tmp_path, KINDS["streams"], epochs=4)
    expected = longer("whole")
    first = run("cut")
    require_same(run("cut"), first)
    require_same(longer("cut"), expected)


def test_what_is_captured_stays_while_training_goes_on():
    keras.utils.set_random_seed(7)
    trainer = new_trainer(update=3)
    x = series(400).reshape(10, 40, 2)
    trainer.train_on_batch(x, x)
    found = variables_of(
        [trainer.model, trainer.optimizer, trainer._engine.mode("fit")]
    )
    copies = [v.numpy().copy() for v in found]
    captured = values_of(found)
    for _ in range(3):
        trainer.train_on_batch(x, x)
    changed = 0
    for variable, tensor, copy in zip(found, captured, copies, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), copy)
        changed += not np.array_equal(variable.numpy(), copy)
    assert changed > 10


class Ends(keras.callbacks.Callback):
    """Sends a signal in a validation, as Ctrl-C does."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch, self._now = epoch, False

    def get_state(self):
        return None

    def set_state(self, state):
        pass

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch == self._epoch

    def on_test_batch_end(self, batch, logs=None):
        if self._now:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_signal_in_a_validation_with_other_weights_saves_those_of_before(tmp_path):
    def make():
        return new_trainer(optimizer=keras.optimizers.Adam(0.01, use_ema=True))

    ends = [None]

    def callbacks():
        return [keras.callbacks.SwapEMAWeights(), Ends(ends[0])]

    run = Rerun(
        tmp_path,
        KINDS["streams"],
        make,
        callbacks=callbacks,
        validation_data=held_out(),
    )
    expected = run("whole", every=1000)
    ends[0] = 1
    with pytest.raises(KeyboardInterrupt):
        run("cut", every=1000)
    ends[0] = None
    require_same(run("cut", every=1000), expected)


def test_a_training_that_a_callback_ended_goes_on_if_that_is_accepted(tmp_path):
    def callbacks():
        return [keras.callbacks.EarlyStopping("loss", patience=1, min_delta=10)]

    def epochs(run, **options):
        return len(run("it", **options)[1]["loss"])

    run = Rerun(tmp_path, KINDS["streams"], callbacks=callbacks, epochs=5)
    assert epochs(run) == 2
    run.options["epochs"] = 6
    assert epochs(run) == 2
    # The patience of before is restored with the callback's other state.
    assert epochs(run, accept=["stop_training"]) == 3


@pytest.mark.slow
def test_a_watch_keeps_its_looks(tmp_path):
    x = series(240).reshape(4, 60, 2)

    def looks(run):
        return [look.epoch for look in run.trainer.looks]

    class Kept(bk.callbacks.TrainingWatch):
        def on_train_end(self, logs=None):
            super().on_train_end(logs)
            self.model.looks = self.looks

    def kept():
        return [Kept((x, x), print_fn=lambda text: None)]

    run = Rerun(tmp_path, KINDS["arrays"], callbacks=kept)
    expected = run("whole")
    assert looks(run) == [0, 1, 2, 3]
    interrupt(run, "cut", 8)
    require_same(run("cut"), expected)
    assert looks(run) == [0, 1, 2, 3]


class InterruptAtTheEnd(keras.callbacks.Callback):
    """Raises before an epoch's end is told of, once."""

    def __init__(self, waiting):
        super().__init__()
        self.waiting = waiting

    def get_state(self):
        return None

    def set_state(self, state):
        pass

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and self.waiting:
            self.waiting.pop()
            raise Interrupted


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TrainingWatch", *CALLBACKS])
def test_nothing_of_an_epoch_may_be_left_but_its_end(name, tmp_path, monkeypatch):
    # Otherwise the last batch may not be saved.
    write_every_save(monkeypatch)
    x, waiting = series(240).reshape(4, 60, 2), []

    def watch():
        return [bk.callbacks.TrainingWatch((x, x), longest=8, print_fn=str)]

    def callbacks():
        return [InterruptAtTheEnd(waiting), *CALLBACKS.get(name, watch)()]

    run = Rerun(tmp_path, KINDS["streams"], callbacks=callbacks)
    expected = run("whole")
    waiting.append(1)
    with pytest.raises(Interrupted):
        run("cut")
    require_same(run("cut"), expected)
