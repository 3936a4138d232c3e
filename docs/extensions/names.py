"""Public names in the text lead to their pages; those that do not exist are reported.

In text a name is written as code, with the usual import: `bk.data.streams`, also with
arguments: `bk.data.streams(...)`. A name that begins so and is not there fails the
build.
"""

import pydoc
import re

from docutils import nodes
from public import public_names
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
WRITTEN = re.compile(r"(?:bk|bptt_keras|zoo)(?:\.[A-Za-z_]\w*)+")
PAGES = {name.path for name in public_names()}
# A class that is written without its module.
CLASSES = {n.name: n.path for n in public_names() if n.name[0].isupper()}


def find(text):
    """`(path, exists)` of a name in code; `(None, True)` for other code."""
    bare = text.partition("(")[0]
    if bare in CLASSES:
        return CLASSES[bare], True
    match = WRITTEN.fullmatch(bare)
    if match is None:
        return None, True
    path = re.sub(r"^bk\.", "bptt_keras.", bare)
    return (path if path in PAGES else None), pydoc.locate(path) is not None


class Links(SphinxTransform):
    """Makes links of literals that are public names."""

    default_priority = 400

    def apply(self):
        """Replaces the literals of a document."""
        if self.env.docname == "CHANGELOG":  # It also has names that are gone.
            return
        for literal in list(self.document.findall(nodes.literal)):
            if _within_link(literal):
                continue
            path, exists = find(literal.astext())
            if not exists:
                LOGGER.warning(
                    "there is no public name %s", literal.astext(), location=literal
                )
            if path is None or self.env.docname == f"docs/reference/{path}":
                continue
            link = addnodes.pending_xref(
                "",
                literal.deepcopy(),
                refdomain="py",
                reftype="obj",
                reftarget=path,
                refexplicit=True,
                refdoc=self.env.docname,
            )
            literal.replace_self(link)


def _within_link(node):
    kinds = (nodes.reference, nodes.title, nodes.term, addnodes.pending_xref)
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def setup(app):
    """Registers the transform."""
    app.add_transform(Links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
