"""One of each kind is added in a module of its own, as a stranger would, and trained.

What such a module holds is what CONTRIBUTING ("To add") says, and no more.
"""

import importlib
import itertools
import sys
import textwrap

import keras
import numpy as np
import pytest

import bptt_keras as bk
from tests.training.references import assert_same_weights, model_of, series

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


def trained(window, *, epochs=2, optimizer=None, jit_compile=False):
    """A trainer after some epochs; not compiled, which takes most of the time."""
    keras.utils.set_random_seed(1)
    trainer = bk.TruncatedBPTT(model_of(bk.layers.GRU), window, shards=1)
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


def test_a_schedule_that_is_not_registered_is_named_when_it_is_loaded(module, tmp_path):
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


@pytest.mark.parametrize("stride", [None, 2], ids=["side by side", "overlapping"])
@pytest.mark.parametrize("random", [True, False], ids=["asked", "known"])
def test_the_defaults_of_a_schedule_are_fixed_windows(module, stride, random):
    schedule = module(FIXED).Fixed(5, stride, random=random)
    fixed = bk.truncation.FixedWindow(5, stride)
    for name in ("lead", "longest", "mean_horizon", "evaluation_window"):
        assert getattr(schedule, name) == getattr(fixed, name)
    jit_compile = False if random else "auto"
    ours, theirs = (trained(s, jit_compile=jit_compile) for s in (schedule, fixed))
    assert_same_weights(ours, theirs, atol=1e-6)
    assert (ours._engine.learning.in_one is None) == (random or stride is not None)


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
def test_windows_that_do_not_fit_together_are_refused(module, spans, message):
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


def test_a_schedule_whose_windows_vary_goes_with_no_recomputation(module):
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
