"""The documentation site is built, and what is broken in it fails the build."""

import re
import shutil

import pytest
from sphinx.cmd.build import main as sphinx_build

from tests.project.files import ROOT
from tests.project.test_packaging import PUBLIC

OPTIONS = ["-q", "-W", "-n", "--keep-going"]


def build(source, out, *options):
    """The status of a build, and what it warned of."""
    log = out.parent / "warnings.txt"
    arguments = [*OPTIONS, *options, "-w", str(log), "-c", str(source / "docs")]
    status = sphinx_build([*arguments, str(source), str(out)])
    return status, log.read_text(encoding="utf-8") if log.exists() else ""


@pytest.fixture
def small(tmp_path):
    """A site of one page, with the settings of the project's."""
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    for name in ("extensions", "static", "redirect"):
        shutil.copytree(ROOT / "docs" / name, source / "docs" / name)
    settings = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    # Pages of public names take a while, and have a test of their own.
    more = '\nextensions.remove("reference")\nsuppress_warnings = []\n'
    (source / "docs" / "conf.py").write_text(settings + more, encoding="utf-8")

    def build_with(text):
        (source / "docs" / "index.md").write_text(text, encoding="utf-8")
        return build(source, tmp_path / "site")

    return build_with


NOTEBOOK = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
# A page

{}

```{{code-cell}} ipython3
{}
```
"""


@pytest.mark.slow
def test_a_page_with_nothing_broken_is_built(small):
    text = "The formula $h_t = \\tanh(x_t)$ of [this page](#a-page), `bk.data` and `x`."
    assert small(NOTEBOOK.format(text, "print(6 * 7)")) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text, cell, said",
    [
        ("", "1 / 0", "ZeroDivisionError"),
        ("[gone](missing.md)", "1", "missing.md"),
        ("[gone](#nowhere)", "1", "nowhere"),
        ("The function `bk.data.steams`.", "1", "no public name bk.data.steams"),
        (r"The formula $\nonsense{x}$.", "1", "nonsense"),
        ("{py:obj}`bptt_keras.Nothing`", "1", "bptt_keras.Nothing"),
    ],
    ids=["cell", "link", "anchor", "name", "formula", "reference"],
)
def test_one_broken_thing_fails_the_build(small, text, cell, said):
    status, told = small(NOTEBOOK.format(text, cell))
    assert status != 0
    assert said in told


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site without the outputs of tutorials, which have tests of their own."""
    out = tmp_path_factory.mktemp("docs") / "site"
    status, told = build(ROOT, out, "-D", "nb_execution_mode=off")
    assert (status, told) == (0, "")
    return out


@pytest.mark.slow
def test_every_public_name_has_a_page_with_an_example(site):
    for name in PUBLIC:
        written = name.replace("bptt_keras.training.", "bptt_keras.")
        page = site / "docs" / "reference" / f"{written}.html"
        text = page.read_text(encoding="utf-8")
        assert '<p class="rubric">Example' in text, name


@pytest.mark.slow
def test_pages_need_nothing_from_elsewhere(site):
    outside = re.compile(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']https?:")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 150
    for page in pages:
        assert not outside.search(page.read_text(encoding="utf-8")), page


@pytest.mark.slow
def test_the_address_of_the_site_leads_to_the_start_page(site):
    address = re.search(r"url=([^\"]+)", (site / "index.html").read_text())[1]
    assert "Truncated backpropagation" in (site / address).read_text(encoding="utf-8")
