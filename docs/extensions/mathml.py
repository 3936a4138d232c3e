"""Formulas as MathML: browsers draw them without JavaScript and without a network."""

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def _mathml(node, *, block):
    formula = node.astext().replace(r"\dots", r"\ldots")
    try:
        return tex2mathml(formula, as_block=block)
    except MathError as error:
        LOGGER.warning("formula %s: %s", formula, error, location=node)
        return ""


def _inline(translator, node):
    translator.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def _block(translator, node):
    translator.body.append(f'<div class="math">{_mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Registers the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
