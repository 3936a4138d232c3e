"""How a preset's table was read, for other tables."""

from __future__ import annotations

from typing import Any

from zoo.store.folder import are_texts


def reading_of(processing: dict, options) -> dict[str, Any]:
    """Options of `read_table` by which other tables are read as that of a preset was.

    Args:
        processing: Of the preset. What in it is no option is passed over.
        options: `zoo.tasks.task.Option`s that there are.

    Returns:
        The options, and the columns that the model needs.
    """
    known = processing.get("reading")
    known = known if isinstance(known, dict) else {}
    reading = {
        option.name: known[option.name]
        for option in options
        if option.name != "columns_used"
        and type(known.get(option.name)) is option.kind
        and (option.choices is None or known[option.name] in option.choices)
    }
    columns = processing.get("columns")
    return {**reading, "needed": tuple(columns) if are_texts(columns) else ()}
