"""Every rule: its definition, its memory, and a series that diverges without it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras import clipping
from tests.training.clipping import references

# Rule, arguments; joining this list is enough for all tests below.
RULES = [
    ("GlobalNorm", {"max_norm": 1.5}),
    ("VariableNorm", {"max_norm": 0.7}),
    ("Value", {"bound": 0.3}),
    ("AGC", {"clip_factor": 0.05, "eps": 1e-2}),
    ("AutoClip", {"percentile": 35.0, "history": 7}),
    ("ZClip", {"threshold": 1.5, "momentum": 0.8, "warmup": 5}),
    ("ZClip", {"warmup": 3, "max_norm": 2.0}),
]
SHAPES = [(3, 4), (4,), (2, 3, 2), ()]


@pytest.fixture(params=RULES, ids=lambda p: f"{p[0]}-{len(p[1])}")
def case(request):
    name, arguments = request.param
    reference = getattr(references, name)(**arguments)
    return getattr(clipping, name)(**arguments), reference


def make_variables(rng):
    # One of them is all zeros, which the norm of AGC has a least value for.
    values = [rng.normal(size=shape) * (len(shape) != 1) for shape in SHAPES]
    return [keras.Variable(v, dtype="float32") for v in values]


def build(rule, variables):
    def add_variable(name, shape=(), dtype="float32"):
        return keras.Variable(np.zeros(shape), dtype=dtype, trainable=False)

    rule.build(variables, add_variable)


def gradients_of(updates, rng):
    # Lengths from a tenth to ten times the usual one.
    factors = 10.0 ** rng.uniform(-1, 1, updates)
    return [[rng.normal(size=shape) * f for shape in SHAPES] for f in factors]


@pytest.mark.parametrize("xla", [True, False])
def test_a_rule_follows_its_definition_update_by_update(case, xla):
    rule, reference = case
    rng = np.random.default_rng(3)
    variables = make_variables(rng)
    build(rule, variables)

    @tf.function(jit_compile=xla)
    def clip(gradients):
        return rule.clip(gradients, variables)

    changed = 0
    for gradients in gradients_of(20, rng):
        given = [tf.constant(g, tf.float32) for g in gradients]
        clipped = [np.asarray(g) for g in clip(given)]
        weights = [np.asarray(v, np.float64) for v in variables]
        expected = reference.clip(gradients, weights)
        for got, want in zip(clipped, expected, strict=True):
            # A deviation that is a difference of near numbers loses some digits.
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-6)
        changed += references.norm(clipped) < 0.999 * references.norm(gradients)
    assert changed > 2


def test_a_gradient_within_bounds_stays_as_it_is(case):
    rule, _ = case
    variables = make_variables(np.random.default_rng(0))
    build(rule, variables)
    gradients = [tf.fill(shape, 1e-7) for shape in SHAPES]
    for got, given in zip(rule.clip(gradients, variables), gradients, strict=True):
        np.testing.assert_array_equal(got, given)


def test_dtypes_of_gradients_are_kept(case):
    rule, _ = case
    variables = make_variables(np.random.default_rng(0))
    build(rule, variables)
    gradients = [tf.ones(shape, tf.bfloat16) for shape in SHAPES]
    assert {g.dtype for g in rule.clip(gradients, variables)} == {tf.bfloat16}


def test_the_configuration_makes_an_equal_rule(case):
    rule, _ = case
    config = keras.saving.serialize_keras_object(rule)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(rule)
    assert again.get_config() == rule.get_config()
    assert repr(again) == repr(rule)


@pytest.mark.slow
def test_what_a_rule_remembers_is_saved_with_the_optimizer(case, tmp_path):
    rule, _ = case
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 20, 2)).astype("float32")
    y = x.cumsum(axis=1)[..., :1] * 10.0 ** rng.uniform(-1, 1, (12, 1, 1))

    def trained(trainer, rows):
        trainer.fit(x[rows], y[rows], batch_size=1, shuffle=False, verbose=0)
        return [np.asarray(v) for v in trainer.optimizer.variables]

    first = trainer_of(clipping.ClippedOptimizer(keras.optimizers.Adam(0.01), rule))
    trained(first, slice(0, 6))
    first.save(tmp_path / "trainer.keras")
    loaded = keras.models.load_model(tmp_path / "trainer.keras")
    rest = slice(6, 12)
    for a, b in zip(trained(first, rest), trained(loaded, rest), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def trainer_of(optimizer, **options):
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.SimpleRNN(4, activation="linear", return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    # Without a rule, nothing else shall help.
    skips = isinstance(optimizer, clipping.ClippedOptimizer)
    trainer = bk.TruncatedBPTT(model, window=10, shards=1, skip_nonfinite=skips)
    trainer.compile(optimizer, loss="mse", **options)
    return trainer


def burst():
    """A series whose amplitude is thirty times as large for a while."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, 1500, 2)).astype("float32")
    x[:, 1000:1010] *= 30
    y = (0.5 * x[..., :1] + 0.5 * np.roll(x[..., 1:], 1, axis=1)).astype("float32")
    return x, y


EXPLOSIONS = [
    clipping.ZClip(),
    clipping.GlobalNorm(1.0),
    clipping.VariableNorm(1.0),
    clipping.Value(0.1),
    clipping.AGC(0.3),
    clipping.AutoClip(50),
]


@pytest.mark.parametrize(
    "rule",
    [EXPLOSIONS[0], *(pytest.param(r, marks=pytest.mark.slow) for r in EXPLOSIONS[1:])],
    ids=lambda r: type(r).__name__,
)
def test_a_series_that_explodes_without_a_rule_is_learnt_with_it(rule):
    x, y = burst()

    def losses(optimizer):
        keras.utils.set_random_seed(1)
        trainer = trainer_of(optimizer)
        return trainer.fit(x, y, epochs=2, verbose=0).history["loss"]

    unclipped = losses(keras.optimizers.SGD(0.1))
    clipped = losses(clipping.ClippedOptimizer(keras.optimizers.SGD(0.1), rule))
    # The second epoch, from weights that the burst has been through.
    assert not unclipped[1] < 1e3
    assert clipped[1] < 1.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: clipping.GlobalNorm(0), ValueError, "above 0.*max_norm=0"),
        (lambda: clipping.GlobalNorm("1"), TypeError, "must be a number.*'1'"),
        (lambda: clipping.VariableNorm(-1.0), ValueError, "above 0.*-1.0"),
        (lambda: clipping.Value(float("nan")), ValueError, "must be finite"),
        (lambda: clipping.AGC(clip_factor=0), ValueError, "clip_factor"),
        (lambda: clipping.AGC(eps=0), ValueError, "eps"),
        (lambda: clipping.AGC(exclude=[1]), TypeError, "sequence of strings.*1"),
        (lambda: clipping.AutoClip(101), ValueError, "at most 100"),
        (lambda: clipping.AutoClip(history=0), ValueError, "at least 1 norms"),
        (lambda: clipping.AutoClip(history=2.5), TypeError, "integer number of norms"),
        (lambda: clipping.ZClip(momentum=1), ValueError, "below 1"),
        (lambda: clipping.ZClip(warmup=0), ValueError, "at least 1 updates"),
        (lambda: clipping.ZClip(max_norm=0), ValueError, "max_norm"),
        (lambda: clipping.ZClip(threshold=0), ValueError, "threshold"),
    ],
)
def test_arguments_out_of_bounds_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_variables_that_agc_leaves_out_are_not_clipped():
    kernel = keras.Variable(np.ones((2, 2)), dtype="float32", name="kernel")
    bias = keras.Variable(np.ones(2), dtype="float32", name="bias")
    rule = clipping.AGC(0.1, exclude="bias")
    rule.build([kernel, bias], None)
    gradients = [tf.fill((2, 2), 5.0), tf.fill((2,), 5.0)]
    clipped, left = rule.clip(gradients, [kernel, bias])
    np.testing.assert_allclose(clipped, np.full((2, 2), 0.1), rtol=1e-6)
    np.testing.assert_array_equal(left, gradients[1])


def test_agc_refuses_to_leave_out_variables_that_do_not_exist():
    kernel = keras.Variable(np.ones((2, 2)), name="kernel")
    with pytest.raises(ValueError, match="no variable.*'dense'.*kernel"):
        clipping.AGC(exclude="dense").build([kernel], None)


def test_autoclip_forgets_what_is_older_than_its_history():
    rule = clipping.AutoClip(percentile=100, history=3)
    build(rule, [])
    bounds = []
    for length in (9.0, 1.0, 2.0, 3.0, 2.5):
        (clipped,) = rule.clip([tf.constant([length])], [])
        bounds.append(float(tf.reduce_max(rule._norms)))
        assert float(clipped[0]) == length
    assert bounds == [9, 9, 9, 3, 3]
