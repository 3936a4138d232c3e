"""`write_report`: the content of the page, and how a browser shows it."""

import html
import json
import math
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from bptt_keras.diagnostics import (
    Activity,
    Finding,
    GradientFlow,
    Look,
    TruncationBias,
    write_report,
)
from bptt_keras.diagnostics.reporting.report_figures import curves, direction

HISTORY = {
    "loss": [2.0, 1.5, 1.25],
    "val_loss": [2.1, 1.4, 1.6],
    "accuracy": [0.1, 0.2, 0.3],
    "grad_norm": [3.0, 2.0, 1.0],
    "clipped_norm": [1.0, 1.0, 0.9],
    "clipped_fraction": [0.9, 0.5, 0.25],
    "update_ratio": [1e-3, 1e-3, 1e-3],
    "state_norm": [1.0, 2.0, 3.0],
    "timesteps_per_second": [1e4, 1e4, 1e4],
}
NOTE = Finding("vanishing", "note", "Half is gone <soon>.")
WARNING = Finding("exploding", "warning", "Gradients explode.")


def looks():
    return [
        Look(
            epoch,
            GradientFlow([decay**k for k in range(30)]),
            TruncationBias([10, 100], [cosine, 1], [0.9, 1]),
            Activity({}),
            {},
            found,
        )
        for epoch, decay, cosine, found in (
            (0, 0.5, -0.2, [NOTE]),
            (1, 0.7, 0.5, [NOTE, WARNING]),
            (3, 0.9, 0.9, []),
        )
    ]


def page(path, **changes):
    arguments = {
        "title": "A run & its <end>",
        "history": HISTORY,
        "looks": looks(),
        "samples": {"at 0.8": "to be\nor <b>not</b>"},
        "config": {"recipe": {"window": 64, "clip": None}, "seed": 7},
        "results": {"parameters": 12345},
    } | changes
    return write_report(path / "report.html", **arguments).read_text()


def headings(text):
    return re.findall(r"<h2>(.*?)</h2>", text)


def test_the_page_has_all_parts(tmp_path):
    text = page(tmp_path)
    assert headings(text) == [
        "Results",
        "What was found",
        "Curves",
        "Gradients",
        "Clipping",
        "Gradient flow",
        "What the window is worth",
        "Sample outputs",
        "Configuration",
    ]
    assert text.count("<img") == 4
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_it_needs_no_other_files_and_runs_no_scripts(tmp_path):
    text = page(tmp_path)
    assert "<script" not in text and "<link" not in text
    assert set(re.findall(r'(?:src|href)="([^",]{0,26})', text)) == {
        "data:image/svg+xml;base64"
    }


def test_text_from_users_is_escaped(tmp_path):
    text = page(tmp_path)
    assert "or &lt;b&gt;not&lt;/b&gt;" in text
    assert "<h1>A run &amp; its &lt;end&gt;</h1>" in text
    assert "Half is gone &lt;soon&gt;." in text


def test_numbers_are_in_the_tables(tmp_path):
    text = page(tmp_path)
    for name, value in (
        ("parameters", "<td>12,345</td>"),
        ("lowest validation loss", "<td>1.4 (epoch 2)</td>"),
        ("last validation loss", "<td>1.6</td>"),
        ("updates shortened, all epochs", "<td>55.0 %</td>"),
        ("mean gradient norm", "<td>2</td>"),
        ("recipe.window", "<td>64</td>"),
        ("recipe.clip", "<td>None</td>"),
    ):
        assert f'<th scope="row">{name}</th>{value}' in text


def test_each_finding_is_reported_with_its_time(tmp_path):
    text = page(tmp_path)
    assert text.count("<b>vanishing</b>") == 1
    for item in (
        '<li class="warning"><span class="epoch">after epoch 1:</span> <b>exploding',
        '<span class="epoch">from the start to epoch 1:</span> <b>vanishing</b>',
        "<i>No longer after epoch 3: Gradients vanish",
    ):
        assert item in text
    assert "Nothing to warn of" in page(tmp_path, looks=looks()[2:])


def test_what_holds_at_the_end_is_first(tmp_path):
    late = Finding("biased", "note", "A window of 10 is off by 44 %.")
    seen = looks()
    seen[2].findings.append(late)
    text = page(tmp_path, looks=seen)
    parts = [
        "At the last look, after epoch 3:",
        "<b>biased</b>. A window of 10 is off by 44 %.",
        "Before, and no longer:",
        "<b>exploding</b>",
        "<b>vanishing</b>",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_measurement_of_an_untrained_network_says_so(tmp_path):
    words = "This was before training, which changes it."
    assert page(tmp_path, looks=looks()[:1]).count(words) == 2
    assert words not in page(tmp_path)


def test_the_trainers_window_is_shown_and_not_a_shorter_one_beside_it(tmp_path):
    bias = TruncationBias([4, 10, 100], [-0.2, 0.9, 1], [0.9, 0.9, 1])
    seen = [look._replace(bias=bias) for look in looks()]
    assert "A window of 10 is off by 44 % from the full gradient" in page(
        tmp_path, looks=seen
    )
    (ax,) = direction(seen).axes
    np.testing.assert_allclose(ax.lines[2].get_ydata(), 0.9)


def test_what_was_not_recorded_is_left_out(tmp_path):
    text = page(
        tmp_path, history={"loss": [1.0]}, looks=(), samples=(), config=None, results={}
    )
    assert headings(text) == ["Results", "Curves"]


def test_gaps_and_overflow_are_drawn_as_gaps(tmp_path):
    text = page(
        tmp_path,
        history={
            "loss": [1.0, None, math.nan],
            "grad_norm": [1.0, math.inf, 0.0],
            "clipped_fraction": [math.nan] * 3,
        },
    )
    assert "lowest training loss" in text
    flows = [GradientFlow([1.0, math.inf, math.nan]), GradientFlow([0.0, 0.0, 0.0])]
    bad = [Look(0, flow, None, Activity({}), {}, []) for flow in flows]
    assert "Gradient flow" in headings(page(tmp_path, looks=bad))


def test_every_metric_has_its_panel():
    names = [f"metric_{i}" for i in range(5)]
    history = {"epoch": [1, 2]} | {name: [0.1, 0.2] for name in ["loss", *names]}
    shown = [axes.lines[0].get_label() for axes in curves(history).axes]
    assert shown == ["loss", *names]


def test_epochs_without_validation_are_gaps(tmp_path):
    history = {"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [3.5, 2.5]}
    assert "<td>2.5 (epoch 4)</td>" in page(tmp_path, history=history)
    with pytest.raises(ValueError, match="nothing says which"):
        page(tmp_path, history=history | {"val_loss": [1.0]})


def test_a_metric_of_several_numbers_has_several_curves(tmp_path):
    from bptt_keras.diagnostics.reporting.report import _checked

    lists = _checked({"loss": [1.0, 2.0], "f1": [np.array([0.1, 0.2])] * 2})
    assert lists["f1[1]"] == [0.2, 0.2]
    assert page(tmp_path, history={"loss": [1.0], "f1": [np.array([0.1, 0.2])]})


def test_one_text_is_one_sample(tmp_path):
    assert page(tmp_path, samples="hello").count("<pre>") == 1


def test_the_same_run_makes_the_same_page(tmp_path):
    assert page(tmp_path) == page(tmp_path)


@pytest.mark.parametrize(
    "history", [{}, {"loss": []}, {"loss": [1.0], "val_loss": [1.0, 2.0]}]
)
def test_a_history_without_epochs_is_refused(tmp_path, history):
    with pytest.raises(ValueError, match="`history` must have lists of one length"):
        page(tmp_path, history=history)
    assert not any(tmp_path.iterdir())


# --- In a browser ---------------------------------------------------------------

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
# Where a browser was installed for the tests, they must not pass without it.
WANTED = os.environ.get("BPTT_KERAS_TEST_BROWSER") == "1"
# What a reader sees, read from the layout.
LOOK = """
<script>
addEventListener("load", () => {
  const images = [...document.images].map(i =>
    [i.complete, i.naturalWidth, Math.round(i.getBoundingClientRect().width)]);
  const seen = [...document.querySelectorAll("h1, h2, li, pre, td")]
    .every(e => e.getBoundingClientRect().height > 8);
  const warning = getComputedStyle(document.querySelector("li.warning")).color;
  document.title = JSON.stringify({images, seen, warning,
    overflow: document.documentElement.scrollWidth - innerWidth,
    text: document.body.innerText.includes("or <b>not</b>")});
});
</script>
"""


def browse(*arguments, folder):
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        f"--user-data-dir={folder / 'profile'}",
    ]
    done = subprocess.run(
        [BROWSER, *flags, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.skipif(BROWSER is None and not WANTED, reason="no Chromium here")
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_it(tmp_path, width):
    assert BROWSER, "BPTT_KERAS_TEST_BROWSER=1, but there is no Chromium"
    page(tmp_path)
    probe = tmp_path / "probe.html"
    probe.write_text((tmp_path / "report.html").read_text() + LOOK)
    dom = browse(
        "--dump-dom",
        f"--window-size={width},900",
        "--virtual-time-budget=5000",
        probe.as_uri(),
        folder=tmp_path,
    )
    seen = json.loads(html.unescape(re.search("<title>(.*?)</title>", dom)[1]))
    assert len(seen["images"]) == 4
    for complete, natural, shown in seen["images"]:
        assert complete and natural > 300 and 250 < shown <= width
    assert seen["seen"] and seen["text"]
    assert seen["overflow"] <= 0
    assert seen["warning"] == "rgb(154, 42, 18)"


@pytest.mark.skipif(BROWSER is None and not WANTED, reason="no Chromium here")
def test_its_picture_has_colours(tmp_path):
    from matplotlib.image import imread

    page(tmp_path)
    picture = tmp_path / "page.png"
    browse(
        f"--screenshot={picture}",
        "--window-size=1100,3200",
        (tmp_path / "report.html").as_uri(),
        folder=tmp_path,
    )
    pixels = imread(picture)[..., :3]
    colourful = np.ptp(pixels, axis=-1) > 0.3
    # The heat map alone is larger than this.
    assert colourful.sum() > 20_000
    assert (pixels.min(axis=-1) > 0.99).mean() > 0.4
