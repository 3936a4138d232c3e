"""The model card of a preset: what `metadata.json` says, for people."""

from __future__ import annotations

from zoo.report import result_rows

TEMPLATE = """\
# {task} on {data}

A character model trained with truncated backpropagation through time.

| on the validation part | nats per character | bits per character |
|---|---:|---:|
{rows}

- **Data:** {data}, {train:,} characters for training, {validation:,} for validation
  (sha256 of the text `{sha256}`).
- **Model:** {parameters:,} weights; the layers are in `config.json`. Inputs are ids of
  characters, outputs are logits of the next character.
- **Training:** window of {window} characters, {batch_size} streams, {epochs} epochs,
  AdamW with peak learning rate {learning_rate:g}, gradients clipped to a global norm of
  {clip:g}, seed {seed}; {wall_time:.0f} s. The weights are those of epoch
  {best_epoch}, the best by validation loss: validation chose them, so that number
  flatters a little.
- **Made with:** {versions}.

## Use

    bptt-zoo generate FOLDER --prompt "The "
    bptt-zoo evaluate FOLDER

or in Python

    import zoo
    preset = zoo.load_preset("FOLDER")
    preset.model      # a plain keras.Sequential

## Limits

The model knows the characters of its training text and no others, and imitates that
text. It knows nothing else.
"""


def card(metadata: dict) -> str:
    """Markdown for the `README.md` of a preset.

    Args:
        metadata: As in `metadata.json`.

    Returns:
        The text of the card.
    """
    data, recipe = metadata["data"], metadata["recipe"]
    versions = ", ".join(f"{k} {v}" for k, v in metadata["versions"].items())
    rows = "\n".join(
        f"| {name} | {nats:.4f} | {bits:.4f} |"
        for name, nats, bits in result_rows(metadata)
    )
    return TEMPLATE.format(
        task=metadata["task"],
        data=data["name"],
        rows=rows,
        train=data["train_characters"],
        validation=data["validation_characters"],
        sha256=data["sha256"],
        parameters=metadata["parameters"],
        versions=versions,
        wall_time=metadata["wall_time_seconds"],
        best_epoch=metadata["metric"]["epoch"],
        **recipe,
    )
