"""The model card of a preset: `metadata.json` in readable form."""

from __future__ import annotations

from zoo.plain.scales import cells, headings

TEMPLATE = """\
# {task} on {name}

A model trained with truncated backpropagation through time.

| on the {part} part | {columns} |
|---|{rules}|
{rows}

- **Data:** {data}.
- **Model:** {parameters:,} weights; the layers are in `config.json`.
- **Training:** {recipe}; {wall_time:,.0f} s{machine}. The weights are those of epoch
  {epoch}, the best by validation{flatters}{stopped}{seeds}
- **Made with:** {versions}.

## Use

    bptt-zoo evaluate FOLDER

or in Python

    import zoo
    preset = zoo.from_preset("FOLDER")
    preset.model      # a plain keras.Sequential

## Limits

The model knows what its training data show, and nothing else.
"""


def card(metadata: dict) -> str:
    """Markdown for the `README.md` of a preset.

    Args:
        metadata: As in `metadata.json`.

    Returns:
        The text of the card.
    """
    metric, data = metadata["metric"], dict(metadata["data"])
    columns = headings(metric["unit"], metric["name"])
    rows = "\n".join(
        f"| {name} | {' | '.join(cells(value, metric['unit']))} |"
        for name, value in result_rows(metadata)
    )
    name = data.pop("name")
    flatters = ": validation chose them, so that number\n  flatters a little."
    return TEMPLATE.format(
        task=metadata["task"],
        name=name,
        part=metric["part"],
        columns=" | ".join(columns),
        rules="|".join(["---:"] * len(columns)),
        rows=rows,
        data="; ".join([name, *_facts(data)]),
        parameters=metadata["parameters"],
        recipe=", ".join(_facts(metadata["recipe"])),
        versions=", ".join(f"{k} {v}" for k, v in metadata["versions"].items()),
        wall_time=metadata["wall_time_seconds"],
        machine=on_machine(metadata),
        epoch=metric["epoch"],
        flatters=flatters if metric["part"] == "validation" else ".",
        stopped=_stopped(metadata),
        seeds=_seeds(metadata),
    )


def result_rows(metadata: dict) -> list[tuple[str, float]]:
    """The result, the published references and the baselines.

    Args:
        metadata: As in a preset's `metadata.json`.

    Returns:
        Rows `(name, value of the metric)`.
    """
    rows = {
        "this model": metadata["metric"]["value"],
        **metadata["references"],
        **metadata["baselines"],
    }
    return list(rows.items())


def on_machine(metadata: dict) -> str:
    """The hardware of the training, as the end of a sentence, if it is known."""
    return f" on {metadata['machine']}" if metadata.get("machine") else ""


def _stopped(metadata: dict) -> str:
    """How much of the recipe was completed, if not all of it."""
    epochs = metadata.get("stopped_after")
    if epochs is None:
        return ""
    return (
        f" It was stopped after\n  {epochs} of {metadata['recipe']['epochs']} epochs."
    )


def _seeds(metadata: dict) -> str:
    """The results of other trainings with the same recipe, if there are any."""
    values = metadata.get("seeds", {})
    if len(values) < 2:
        return ""
    unit = metadata["metric"]["unit"]
    reached = ", ".join(f"{k}: {cells(v, unit)[0]}" for k, v in values.items())
    return f"\n- **Seeds:** {reached}."


def _facts(values: dict) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in values.items()
        if value is not None
    ]
