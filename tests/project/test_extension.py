"""One extension of each kind is added in its own module, as a user would, and trained.

Such a module contains what CONTRIBUTING ("To add") says, and no more.
"""

import hashlib
import importlib
import itertools
import sys
import textwrap

import keras
import numpy as np
import pytest

import bptt_keras as bk
import zoo
import zoo.layers
from tests.training.references import assert_same_weights, model_of, series
from zoo import datasets
from zoo.cli.main import main
from zoo.models import kinds
from zoo.models.sizes import sizes_of
from zoo.tasks import TASKS
from zoo.tasks.char_lm import CharLM

X, Y = series(4, 12)
_numbers = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Imports a module of this source, which is gone after the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source):
        name = f"extension_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return write


def trained(
    window, *, layer=bk.layers.GRU, epochs=2, optimizer=None, jit_compile=False
):
    """A trainer after some epochs; not compiled, which takes most of the time."""
    keras.utils.set_random_seed(1)
    trainer = bk.TruncatedBPTT(model_of(layer), window, shards=1)
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    trainer.compile(optimizer, "mse", jit_compile=jit_compile)
    trainer.fit(X, Y, epochs=epochs, verbose=0)
    return trainer


def loaded(trainer, tmp_path, **options):
    trainer.save(tmp_path / "trainer.keras")
    return keras.models.load_model(tmp_path / "trainer.keras", **options)


# --- A schedule ---------------------------------------------------------------------

GROWING = """
    import keras
    from bptt_keras.truncation import Schedule

    @keras.saving.register_keras_serializable(package="growing")
    class Growing(Schedule):
        def __init__(self, first, longest):
            self.first = self.window = first
            self.longest = longest
            self.asked = []

        def begin_epoch(self, epoch):
            self.window = min(self.first * 2**epoch, self.longest)

        def draw(self):
            self.asked.append(self.window)
            return self.window

        def get_config(self):
            return {"first": self.first, "longest": self.longest}
"""


def test_a_schedule_is_asked_for_the_windows_of_each_batch(module):
    schedule = module(GROWING).Growing(3, longest=8)
    trained(schedule, epochs=3)
    assert schedule.asked == [3, 3, 3, 3, 6, 6, 8, 8]


def test_a_schedule_is_saved_with_its_trainer(module, tmp_path):
    made = module(GROWING)
    trainer = trained(made.Growing(3, longest=8))
    again = loaded(trainer, tmp_path)
    assert type(again.truncation) is made.Growing
    assert again.truncation.get_config() == {"first": 3, "longest": 8}
    assert_same_weights(again, trainer)
    again.fit(X, Y, verbose=0)
    assert again.truncation.asked == [3] * 4


def test_an_unregistered_schedule_is_named_when_it_is_loaded(module, tmp_path):
    source = GROWING.replace("@keras.saving.register_keras_serializable", "#")
    made = module(source)
    trainer = trained(made.Growing(3, longest=8))
    with pytest.raises(TypeError, match="Could not locate class 'Growing'"):
        loaded(trainer, tmp_path)
    again = loaded(trainer, tmp_path, custom_objects={"Growing": made.Growing})
    assert type(again.truncation) is made.Growing


def test_a_schedule_goes_through_plain_configuration(module):
    trainer = trained(module(GROWING).Growing(3, longest=8))
    config = keras.saving.serialize_keras_object(trainer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.truncation is not trainer.truncation
    assert again.truncation.get_config() == trainer.truncation.get_config()


FIXED = """
    from bptt_keras.truncation import Schedule

    class Fixed(Schedule):
        def __init__(self, window, stride=None, **traits):
            self.window, self.stride = window, stride
            vars(self).update(traits)
"""


@pytest.mark.parametrize(
    ("stride", "random"),
    [(None, True), (2, True), (None, False)],
    ids=["side by side", "overlapping", "known"],
)
@pytest.mark.quick(1)
def test_the_defaults_of_a_schedule_are_fixed_windows(module, stride, random):
    schedule = module(FIXED).Fixed(5, stride, random=random)
    fixed = bk.truncation.FixedWindow(5, stride)
    jit_compile = False if random else "auto"
    ours, theirs = (trained(s, jit_compile=jit_compile) for s in (schedule, fixed))
    assert_same_weights(ours, theirs, atol=1e-6)
    in_one = ours._engine.setup.modes["fit"].windows.in_one
    assert (in_one is None) == (random or stride is not None)


def test_a_schedule_without_a_window_cuts_nothing(module):
    whole = trained(module(FIXED).Fixed(None))
    assert_same_weights(whole, trained(None), atol=1e-6)


def test_a_schedule_chooses_the_window_of_a_loss_at_the_end(module):
    def ends(window):
        keras.utils.set_random_seed(1)
        layers = [keras.Input((None, 3)), bk.layers.GRU(5), keras.layers.Dense(2)]
        trainer = bk.TruncatedBPTT(keras.Sequential(layers), window, shards=1)
        trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        trainer.train_on_batch(X, Y[:, -1])
        return trainer

    assert_same_weights(ends(module(FIXED).Fixed(5)), ends(5), atol=1e-6)


@pytest.mark.slow
def test_a_schedule_scales_gradients_and_rates(module):
    made = module(
        """
        from bptt_keras.truncation import Schedule

        class Halved(Schedule):
            window, stepwise = 4, True

            def factors(self):
                return [0.0, 0.5, 0.5, 0.5]

            def rate(self, steps):
                return 2.0
        """
    )
    halved, plain = trained(made.Halved()), trained(4)
    differences = [
        np.abs(a - b).max()
        for a, b in zip(halved.get_weights(), plain.get_weights(), strict=True)
    ]
    assert max(differences) > 1e-3
    made.Halved.factors = lambda self: [0.0, 1.0, 1.0, 1.0]
    made.Halved.rate = lambda self, steps: 1.0
    assert_same_weights(trained(made.Halved()), plain, atol=1e-6)


def test_a_schedule_observes_the_decay_of_gradients(module):
    schedule = module(
        """
        from bptt_keras.truncation import Schedule

        class Watching(Schedule):
            window, longest, observes, seen = 4, 6, True, ()

            @property
            def wants_norms(self):
                return not self.seen

            def observe(self, norms):
                self.seen = [float(norm) for norm in norms]
        """
    ).Watching()
    trained(schedule)
    assert len(schedule.seen) == 7 and min(schedule.seen) > 0


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ("[Span(0, 0, 4, 4)]", "must reach the end"),
        ("[Span(0, 0, 4, 4), Span(6, 6, length, length)]", "must go on from one"),
        ("[Span(0, 0, length, length)]", "must not exceed its `longest`"),
    ],
)
@pytest.mark.quick(1)
def test_windows_that_do_not_follow_one_another_are_refused(module, spans, message):
    made = module(
        f"""
        from bptt_keras.truncation import Schedule, Span

        class Broken(Schedule):
            window = 5

            def spans(self, length, lead=0):
                return {spans}
        """
    )
    with pytest.raises(Exception, match=message):
        trained(made.Broken())


def test_a_schedule_of_varying_windows_refuses_recomputation(module):
    with pytest.raises(ValueError, match="needs windows of one length.*window=Growing"):
        bk.TruncatedBPTT(
            model_of(bk.layers.GRU),
            module(GROWING).Growing(3, longest=8),
            recompute="sqrt",
        )


# --- A clipping rule ----------------------------------------------------------------

SHRINKING = """
    import keras
    import bptt_keras as bk

    @keras.saving.register_keras_serializable(package="shrinking")
    class Shrinking(bk.clipping.Clipping):
        def __init__(self, factor):
            self.factor = factor

        def build(self, variables, add_variable):
            self._updates = add_variable("updates", dtype="int64")

        def clip(self, gradients, variables):
            self._updates.assign_add(1)
            return [self.factor * gradient for gradient in gradients]

        def get_config(self):
            return {"factor": self.factor}
"""


def test_a_clipping_rule_trains_and_is_saved(module, tmp_path):
    rule = module(SHRINKING).Shrinking(0.5)
    optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.SGD(0.1), rule)
    trainer = trained(4, optimizer=optimizer)
    assert_same_weights(trainer, trained(4, optimizer=keras.optimizers.SGD(0.05)))
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    assert "Shrinking(factor=0.5)" in lines[-1]
    again = loaded(trainer, tmp_path)
    (restored,) = again.optimizer.clipping
    assert restored.get_config() == {"factor": 0.5}
    assert int(restored._updates) == 6
    again.fit(X, Y, verbose=0)
    assert int(restored._updates) == 9


# --- A recurrent layer --------------------------------------------------------------


@pytest.mark.slow
def test_a_cell_of_keras_trains_in_windows(module, tmp_path):
    made = module(
        """
        import keras

        @keras.saving.register_keras_serializable(package="leaky")
        class LeakyCell(keras.layers.Layer):
            def __init__(self, units, **kwargs):
                super().__init__(**kwargs)
                self.units = self.state_size = self.output_size = units

            def build(self, shape):
                self.kernel = self.add_weight((shape[-1], self.units), name="kernel")

            def call(self, inputs, states):
                state = 0.9 * states[0] + keras.ops.matmul(inputs, self.kernel)
                return state, [state]

            def get_config(self):
                return {**super().get_config(), "units": self.units}
        """
    )

    def rnn(units, **options):
        return keras.layers.RNN(made.LeakyCell(units), **options)

    trainer = trained(4, layer=rnn)
    whole = trained(None, layer=rnn)
    assert not np.allclose(trainer.get_weights()[0], whole.get_weights()[0])
    again = loaded(trainer, tmp_path)
    assert_same_weights(again, trainer)
    again.fit(X, Y, verbose=0)


# --- The zoo ------------------------------------------------------------------------


@pytest.fixture
def zoo_command(monkeypatch, tmp_path):
    """Runs a command of the zoo, with a cache of its own."""
    monkeypatch.setenv("BPTT_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BPTT_ZOO_DATA", raising=False)

    def call(*arguments):
        assert main([str(argument) for argument in arguments]) == 0

    return call


RUNNING_MEAN = """
    import keras
    import tensorflow as tf

    @keras.saving.register_keras_serializable(package="zoo")
    class RunningMean(keras.layers.Layer):
        def __init__(self, pieces, decay=0.5, **kwargs):
            super().__init__(**kwargs)
            self.pieces, self.decay = pieces, decay

        def build(self, shape):
            self.kernel = self.add_weight((shape[-1], self.pieces), name="kernel")

        def get_initial_state(self, batch_size):
            return {"mean": tf.zeros((batch_size, self.pieces))}

        def call_with_state(
            self, inputs, state, *, training=False, mask=None, reset=None
        ):
            steps, mean = tf.unstack(inputs @ self.kernel, axis=1), state["mean"]
            means = []
            for step in steps:
                mean = self.decay * mean + (1 - self.decay) * step
                means.append(mean)
            return tf.stack(means, axis=1), {"mean": mean}

        def call(self, inputs):
            state = self.get_initial_state(tf.shape(inputs)[0])
            return self.call_with_state(inputs, state)[0]

        def compute_output_shape(self, shape):
            return (*shape[:-1], self.pieces)

        def get_config(self):
            return {
                **super().get_config(), "pieces": self.pieces, "decay": self.decay
            }
"""


def test_a_layer_of_the_zoo_is_a_class_and_a_row(module, monkeypatch, tmp_path):
    made = module(RUNNING_MEAN)
    monkeypatch.setattr(zoo.layers, "RunningMean", made.RunningMean, raising=False)
    row = kinds.Kind(
        {"pieces": kinds.size, "decay": kinds.rate},
        weights=lambda config, width, first: width * config["pieces"],
        width=lambda config, width, first: config["pieces"],
    )
    monkeypatch.setitem(kinds.KINDS, "zoo>RunningMean", row)

    def layer(units, return_sequences):
        return made.RunningMean(units, decay=0.25)

    trainer = trained(4, layer=layer)
    assert not np.allclose(
        trainer.model.get_weights()[0], model_of(layer).get_weights()[0]
    )
    zoo.Preset(trainer.model, {}, METADATA).save(tmp_path / "preset")
    again = zoo.from_preset(tmp_path / "preset").model
    assert again.layers[0].get_config()["decay"] == 0.25
    np.testing.assert_allclose(again(X), trainer.model(X), atol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pieces": 0}, "RunningMean: pieces` must be an integer, at least 1"),
        ({"pieces": 2, "decay": 1}, r"RunningMean: decay must be in \[0, 1\)"),
        ({"pieces": 2, "units": 2}, "RunningMean has no argument 'units' here"),
    ],
)
def test_arguments_of_a_layer_are_what_its_row_says(monkeypatch, config, message):
    row = kinds.Kind({"pieces": kinds.size, "decay": kinds.rate})
    monkeypatch.setitem(kinds.KINDS, "zoo>RunningMean", row)
    layers = [{"class_name": "zoo>RunningMean", "config": config}]
    with pytest.raises(ValueError, match=message):
        sizes_of({"class_name": "Sequential", "layers": layers, "features": 3})


METADATA = {
    "task": "delayed-echo",
    "metric": {
        "name": "accuracy",
        "unit": "",
        "part": "test",
        "value": 0.5,
        "epoch": 1,
    },
    "data": {"name": "echo-8"},
    "baselines": {},
    "references": {},
    "recipe": {},
    "parameters": 1,
    "versions": {},
    "wall_time_seconds": 1.0,
}

PROVERBS = """
    import tensorflow_datasets as tfds
    from zoo.datasets.builder import ZooBuilder
    from zoo.datasets.files import File
    from zoo.texts.text import split

    class Proverbs(ZooBuilder):
        FILES = (
            File(
                "proverbs/proverbs.txt", "https://example.org/proverbs.txt", {size},
                "{sha256}",
            ),
        )
        DESCRIPTION = "Some proverbs."
        HOMEPAGE = "https://example.org"

        def features(self):
            return {{"text": tfds.features.Text()}}

        def parts(self):
            (file,) = self.FILES
            parts = split(self.contents[file.path].decode("ascii"))
            names = "train", "validation"
            return {{n: [{{"text": p}}] for n, p in zip(names, parts, strict=True)}}
"""
SMALL = ("--epochs", 1, "--batch-size", 2, "--window", 8, "--units", 4, "--jit", "off")


@pytest.mark.slow
def test_a_data_set_is_a_builder_and_a_row(module, monkeypatch, tmp_path, zoo_command):
    content = b"The early bird catches the worm. A stitch in time saves nine.\n" * 9
    sha256 = hashlib.sha256(content).hexdigest()
    made = module(PROVERBS.format(size=len(content), sha256=sha256))
    monkeypatch.setitem(sys.modules, "zoo.datasets.proverbs", made)
    row = datasets.Row("some proverbs", "proverbs.Proverbs", text=True)
    monkeypatch.setitem(datasets.DATASETS, "proverbs", row)
    (tmp_path / "data" / "proverbs").mkdir(parents=True)
    (tmp_path / "data" / "proverbs" / "proverbs.txt").write_bytes(content)
    text = datasets.load("proverbs", data_dir=tmp_path / "data")
    assert (text.train + text.validation).encode("ascii") == content
    assert datasets.describe("proverbs")["licence"] == "not stated"
    # A task that reads it says so.
    known = (*CharLM.DATASETS, "proverbs")
    monkeypatch.setattr(CharLM, "DATASETS", known)
    place = ("--dataset", "proverbs", "--data-dir", tmp_path / "data")
    zoo_command("train", "char-lm", *place, *SMALL, "--out", tmp_path / "run")
    assert zoo.from_preset(tmp_path / "run").metadata["data"]["name"] == "proverbs"


RUNNING_SUM = """
    import keras
    import numpy as np
    import bptt_keras as bk
    from zoo.layers.recurrent import recurrent_stack
    from zoo.recipes.recipe import Recipe
    from zoo.tasks.generated import GeneratedTask
    from zoo.tasks.task import Metric

    class RunningSum(GeneratedTask):
        NAME = "running-sum"
        SUMMARY = "add the numbers of a stream, the older the less"
        DATASETS = ("sums",)
        METRIC = Metric("mean squared error", "")
        RECIPES = {"sums": Recipe(units=8, batch_size=4, window=10, epochs=1)}

        def check(self, data, recipe):
            self.require_window(recipe, "sums, which are one long stream")

        def streams(self, recipe, seed):
            x = np.random.default_rng(seed).normal(size=(800, 1)).astype("float32")
            y = 0.3 * x + 0.2 * np.roll(x, 1, axis=0)
            return bk.data.streams(
                x, batch_size=recipe.batch_size, window=recipe.window, targets=y
            )

        def training(self, data, recipe, epoch=0):
            return self.streams(recipe, recipe.seed)

        def held_out(self, data, recipe, part):
            return self.streams(recipe, {"validation": 1000, "test": 1001}[part])

        def updates_per_epoch(self, data, recipe):
            return 800 // recipe.batch_size // recipe.window

        def levels(self, data, recipe, part):
            return {"always 0": 0.13}

        def build_model(self, data, recipe):
            return keras.Sequential(
                [
                    keras.layers.Input((None, 1)),
                    *recurrent_stack(recipe, return_sequences=True),
                    keras.layers.Dense(1),
                ]
            )

        def build_loss(self):
            return keras.losses.MeanSquaredError()
"""


@pytest.mark.slow
def test_a_task_is_a_class_and_a_row(module, monkeypatch, tmp_path, zoo_command):
    task = module(RUNNING_SUM).RunningSum()
    monkeypatch.setitem(TASKS, task.NAME, task)
    zoo_command("train", "running-sum", *SMALL, "--out", tmp_path / "run")
    zoo_command("evaluate", tmp_path / "run")
    preset = zoo.from_preset(tmp_path / "run")
    assert preset.metadata["task"] == "running-sum"
    assert preset.metadata["recipe"]["units"] == 4
    assert preset.metadata["baselines"] == {"always 0": 0.13}
    zoo_command("resume", tmp_path / "run", "--epochs", 2)
