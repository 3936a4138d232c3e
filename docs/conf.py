"""Settings of the documentation site: `make docs` builds it.

The root of the repository is the source folder, so that links between documents,
tutorials and the changelog are right on the site and in the repository alike.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Notebooks show their figures only by the backend that their kernel chooses.
os.environ.pop("MPLBACKEND", None)
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "extensions")]

from fingerprint import execution_cache  # noqa: E402

import bptt_keras  # noqa: E402

project = "bptt_keras"
author = "the authors of bptt_keras"
project_copyright = author
version = release = bptt_keras.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "docstrings",
    "mathml",
    "names",
    "reference",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "docs/reference/*.rst",
    "tutorials/**.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
# Folders that hold no documents are not searched for any.
exclude_patterns = [
    *(".*", "build", "dist", "runs", "bptt_keras", "tests", "zoo", "*.egg-info"),
]

# A broken cell, link or reference is an error; `make docs` makes warnings errors.
nitpicky = True
nb_execution_mode = "cache"
nb_execution_cache_path = str(execution_cache(ROOT))
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 600
nb_merge_streams = True
# TensorFlow says how it was built; the tests allow nothing else there.
nb_output_stderr = "remove"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"member-order": "bysource"}
# Docstrings say what each argument accepts.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"bptt_keras {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
# The start page lies beside others in `docs`; the address of the site leads there.
html_extra_path = ["redirect"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
