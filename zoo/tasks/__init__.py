"""Tasks of the zoo by name. A new one is a module and one row here.

A task's module has `NAME`, `SUMMARY`, `DATASETS`, `REFERENCES`, `SAMPLE_PROMPT`,
`Recipe`, `recipe_for`, `check`, `build_model`, `build_optimizer` and `build_loss`;
`char_lm` shows what each is.
"""

from __future__ import annotations

from zoo.tasks import char_lm

TASKS = {char_lm.NAME: char_lm}
