"""Jobs without training: oracles that tests drive by hand, as workers would."""

import keras_tuner

from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs import searches
from bptt_keras.tuning.jobs.definition import describe_space, refuse_changes


def space():
    """A number, an integer, and a choice with a number under one condition."""
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Int("units", 4, 64)
    hp.Choice("clipping", ["none", "norm"])
    with hp.conditional_scope("clipping", ["norm"]):
        hp.Float("clip_norm", 0.1, 10.0)
    return hp


def grid():
    """Ten points: 2 x (1 + 2) and 2 x 2 that no condition hides."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", [8, 16])
    hp.Choice("clipping", ["none", "norm", "value"])
    with hp.conditional_scope("clipping", ["norm"]):
        hp.Choice("clip_norm", [0.5, 1.0])
    with hp.conditional_scope("clipping", ["value"]):
        hp.Choice("clip_value", [0.1, 0.2])
    return hp


def opened(folder, kind=searches.RandomSearchOracle, hp=None, *, local=True, **options):
    """An oracle that goes on with what a folder holds, as a new process does."""
    hp = space() if hp is None else hp
    options = {"objective": "val_loss", "seed": 1, **options}
    budget = options.pop("budget", None)
    defaults_first = options.pop("defaults_first", False)
    extend = options.pop("extend", False)
    made = kind(hyperparameters=hp, **options)
    made.budget, made.defaults_first = budget, defaults_first
    made._set_project_dir(str(folder.parent), folder.name)
    definition = {"space": describe_space(hp), "objective": "val_loss"}
    folder.mkdir(parents=True, exist_ok=True)

    def check(stored):
        refuse_changes(stored, definition, extend=extend, folder=folder)

    made.open(folder, definition, check, local=local)
    return made


def score(values):
    """What a trial reaches: a function of its values."""
    return float(sum(v for v in values.values() if not isinstance(v, str)))


def begin(oracle, worker="w"):
    """A trial for a worker, and the number of its attempt; `None`: there is none."""
    trial = oracle.create_trial(worker)
    if trial.status != oracles.RUNNING:
        return trial, None
    return trial, oracle.report(worker, trial.trial_id, kind="begin")["attempt"]


def finish(oracle, trial, value=None):
    """Ends a trial with what it reaches."""
    value = score(trial.hyperparameters.values) if value is None else value
    oracle.update_trial(trial.trial_id, {"val_loss": value})
    trial.status = oracles.COMPLETED
    oracle.end_trial(trial)


def table(oracle):
    """Values and results of all trials, in their order."""
    return [
        (t.trial_id, t.hyperparameters.values, t.status, t.score)
        for t in oracle.trials.values()
    ]
