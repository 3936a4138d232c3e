"""The files of the project, for its tests."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bptt_keras", "zoo")
FOLDERS = ("bptt_keras", "zoo", "docs", "tests", "tutorials", ".ci", ".github")
TEXT = {".py", ".md", ".cfg", ".toml", ".ipynb", ".json", ".tsv", ".txt", ".yml", ""}
TEXT |= {".cc", ".h", ".inc", ".in"}


def python_files(*packages):
    """The Python files of the top-level packages named, sorted."""
    return sorted(path for name in packages for path in (ROOT / name).rglob("*.py"))


def text_files():
    """Every text file that belongs to the project, build outputs left out."""
    inside = (path for name in FOLDERS for path in (ROOT / name).rglob("*"))
    return sorted(
        path
        for path in (*ROOT.iterdir(), *inside)
        if path.is_file()
        and path.suffix in TEXT
        and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
        and path.name != ".git"
    )


def parse(path):
    """The syntax tree of one Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path):
    """`bptt_keras/layers/lstm.py` -> `bptt_keras.layers.lstm`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
