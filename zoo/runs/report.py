"""The result of a training, compared with baselines and published values."""

from __future__ import annotations

from zoo.plain.scales import SECOND, cells, headings
from zoo.store.card import result_rows
from zoo.tasks import TASKS
from zoo.tasks.task import Metric


def derived(logs: dict, metric: Metric) -> dict[str, float]:
    """Converts the metric in the logs of `fit` to its second scale.

    Args:
        logs: Logs, in which the metric may be missing.
        metric: A task's `Metric`.

    Returns:
        One value for each value of the metric in `logs`; none for a metric with only
        one scale.
    """
    second = SECOND.get(metric.unit)
    return {
        prefix + second.log: second.of(metric.factor * logs[prefix + metric.log])
        for prefix in ("", "val_")
        if second and prefix + metric.log in logs
    }


def result_table(metadata: dict) -> str:
    """The rows of `result_rows` as aligned text with a heading."""
    metric = metadata["metric"]
    columns = headings(metric["unit"], metric["name"])
    rows = [(name, *cells(v, metric["unit"])) for name, v in result_rows(metadata)]
    width = max(len(name) for name, *_ in rows)
    sizes = [max(len(c), *(len(r[i + 1]) for r in rows)) for i, c in enumerate(columns)]
    heading = (
        f"{metadata['task']} on {metadata['data']['name']}: {metric['name']}, "
        f"{metric['part']} part"
    )

    def line(name, values):
        padded = (f"{v:>{s}}" for v, s in zip(values, sizes, strict=True))
        return f"  {name:{width}}  " + "  ".join(padded)

    return "\n".join([heading, line("", columns), *(line(n, v) for n, *v in rows)])


def verdict(metadata: dict) -> str:
    """A sentence if a simple rule does better than the model, else "".

    Args:
        metadata: As in a preset's `metadata.json`.

    Example:
        from zoo.runs.report import verdict

        metric = {"name": "accuracy", "unit": "", "value": 0.5}
        metadata = {"task": "classification", "metric": metric}
        metadata["baselines"] = {"chance": 0.25, "nearest neighbour": 0.75}
        assert verdict(metadata) == (
            "A simple rule does better: nearest neighbour 0.7500 (this model 0.5000)."
        )
    """
    metric = metadata["metric"]
    better = TASKS[metadata["task"]].METRIC.better
    name, value = "", metric["value"]
    for rule, level in metadata["baselines"].items():
        if better(level, value):
            name, value = rule, level
    shown = cells(value, metric["unit"])[0], cells(metric["value"], metric["unit"])[0]
    # A model that is the rule itself may differ from it by rounding.
    if not name or shown[0] == shown[1]:
        return ""
    return f"A simple rule does better: {name} {shown[0]} (this model {shown[1]})."
