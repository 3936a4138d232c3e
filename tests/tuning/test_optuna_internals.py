"""Each private feature of Optuna that tuning relies on still exists."""

import pytest

from bptt_keras.tuning.optuna_internals import id_of

optuna = pytest.importorskip("optuna")


def test_a_trial_is_restored_from_its_id():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.ask()
    asked = study.ask()
    asked.set_user_attr("name", "x")
    frozen = study.get_trials(deepcopy=False)[asked.number]
    again = optuna.trial.Trial(study, id_of(frozen))
    assert (again.number, again.user_attrs) == (asked.number, {"name": "x"}), (
        "Optuna no longer makes a `Trial` of a study from `FrozenTrial._trial_id`"
    )
