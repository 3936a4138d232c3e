"""Runs a training from the command line, and prints what is known before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.plain.scales import SECOND, cells
from zoo.products.kinds import product_of
from zoo.runs.report import result_table, verdict

if TYPE_CHECKING:
    from zoo.runs.training import Run
    from zoo.store.preset import Preset
    from zoo.tasks.task import Metric


def fit(run: Run, *, stop: bool = False) -> None:
    """Trains, and prints the result.

    Args:
        run: The training.
        stop: Whether it ends at its checkpoint: see `Run.fit`.
    """
    _announce(run)
    try:
        preset = run.fit(stop=stop)
    except KeyboardInterrupt:
        if run.preset_folder.exists():
            print(
                f"\nInterrupted. The best model so far is in {run.preset_folder}; "
                f"go on with: bptt-zoo resume {run.out}"
            )
        raise
    if preset is not None:
        _conclude(run, preset)


def _announce(run: Run) -> None:
    facts = run.facts
    metric = run.task.METRIC
    levels = ", ".join(_level(k, v, metric) for k, v in facts["baselines"].items())
    sizes = ", ".join(
        f"{k.replace('_', ' ')} {v:,}"
        for k, v in facts["data"].items()
        if isinstance(v, int)
    )
    unit = f", in {metric.unit}" if metric.unit else ""
    print(f"{run.task.NAME} on {run.data.name}: {sizes}")
    print(f"to beat ({metric.name}{unit}): {levels}")


def _level(name: str, value: float, metric: Metric) -> str:
    shown, second = f"{name} {value:.4g}", SECOND.get(metric.unit)
    if second is None:
        return shown
    return f"{shown} ({cells(value, metric.unit)[1]} {second.name})"


def _conclude(run: Run, preset: Preset) -> None:
    print(f"\n{result_table(preset.metadata)}")
    for line in filter(None, [verdict(preset.metadata), *run.remarks()]):
        print(line)
    product = product_of(run.task)
    product.conclude(run.out, run.data, preset)
    print(f"\nhistory and plots: {run.out}\npreset:            {run.preset_folder}")
    for words, command in product.next_steps(run.preset_folder):
        print(f"{words + ':':19}{command}")
    print(f"see how it went:   bptt-zoo report {run.out}")
