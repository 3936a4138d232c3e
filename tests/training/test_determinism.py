"""The same program gives the same bits, in one process and in two."""

import json
import os
import subprocess
import sys

import keras
import pytest

import bptt_keras as bk
from tests.resume.cases import new_trainer
from tests.training.determinism import CASES, digest_of


@pytest.mark.slow
@pytest.mark.parametrize("name", ["variable window, 1 shards", "LSTM"])
def test_two_trainings_of_one_process_end_with_the_same_bits(name):
    assert digest_of(name) == digest_of(name)


@pytest.mark.slow
def test_two_processes_end_with_the_same_bits(root):
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.determinism"],
            cwd=root,
            # Sets of Python have another order in each.
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    printed = [run.communicate(timeout=1200)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    first, second = (json.loads(text.splitlines()[-1]) for text in printed)
    assert first.keys() == set(CASES)
    assert {name for name in CASES if first[name] != second[name]} == set()


def test_one_schedule_of_two_trainers_is_told_of():
    schedule = bk.truncation.VariableWindow(6)
    first = new_trainer(window=schedule)
    with pytest.warns(UserWarning, match="already draws the windows of another"):
        new_trainer(window=schedule)
    assert first.truncation is schedule


@pytest.mark.parametrize(
    "make",
    [
        lambda: bk.truncation.FixedWindow(6),
        lambda: bk.truncation.VariableWindow(6),
        lambda: 6,
    ],
)
def test_schedules_that_share_nothing_are_not_told_of(make, recwarn):
    schedule = make()
    new_trainer(window=schedule)
    if not getattr(schedule, "random", False):
        new_trainer(window=schedule)
    new_trainer(window=make())
    trainer = new_trainer(window=make())
    trainer.window = trainer.window
    keras.models.clone_model(trainer.model)
    assert not [w for w in recwarn if "another trainer" in str(w.message)]
