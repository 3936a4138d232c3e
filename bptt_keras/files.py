"""Files that are complete, or as they were before."""

import os
from pathlib import Path


def write_whole(path, text):
    """Writes a UTF-8 text file, and its folder with it, all at once.

    Returns:
        The path, a `pathlib.Path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
    return path
