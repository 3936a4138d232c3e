"""The zoo's tasks by name. A new task takes one file and one row here."""

from __future__ import annotations

from typing import Any

from zoo.tasks.adding import Adding
from zoo.tasks.char_lm import CharLM
from zoo.tasks.classification import Classification
from zoo.tasks.copy_memory import CopyMemory
from zoo.tasks.delayed_echo import DelayedEcho
from zoo.tasks.forecasting import Forecasting
from zoo.tasks.influence_balancing import InfluenceBalancing
from zoo.tasks.mnist import SequentialMnist
from zoo.tasks.music import Music
from zoo.tasks.task import Task
from zoo.tasks.word_lm import WordLM

TASKS: dict[str, Task[Any, Any]] = {
    task.NAME: task
    for task in (
        CharLM(),
        WordLM(),
        Music(),
        Forecasting(),
        Classification(),
        SequentialMnist(),
        Adding(),
        CopyMemory(),
        DelayedEcho(),
        InfluenceBalancing(),
    )
}
