"""What users of recurrent networks have asked for is answered in the documentation."""

import re

import pytest

from tests.project.files import ROOT

ANSWERS = ROOT / "docs" / "answers.md"
# Public issues, by project.
ASKED = {
    "keras": """
        1221 1561 1820 1853 1870 2322 2750 2849 1332 3669 4188 4756 5714 7212 8620 8945
        10231 11175 13262 14155 18116 18456 20327 20585 22490
    """,
    "tensorflow": """
        2803 30418 33148 34020 35818 36139 36981 37659 38312 39098 39162 43103 53024
        73254 86310 99385 108080
    """,
    "Lightning": "293 4303 8802 15057 17848 18780 19985",
    "deeplearning4j": "2278 2287 2697 4507",
    "pytorch-forecasting": "1581",
    "sb3-contrib": "103 110",
    "introtodeeplearning": "174",
    "prog_models": "336",
    "accelerate": "4203",
    "serving": "724",
    "onnxruntime": "11085",
    "keras-onnx": "620",
    "silero-vad": "205 571 725",
    "vexa": "157",
    "keras-tuner": "249 316 344 383 439 503 613 915 1042",
}
QUESTION = re.compile(r"^(?P<asked>[^\n:][^\n]*)\n: (?P<answer>.*(?:\n  .*)*)", re.M)
LINK = re.compile(r"\]\((?P<path>[^)#]+)(?:#[^)]*)?\)")


def answers():
    """`{issue: answer}`, issues such as `("keras", "8945")`."""
    found = {}
    for match in QUESTION.finditer(ANSWERS.read_text(encoding="utf-8")):
        issues = re.findall(r"\(([^()]*#\d[^()]*)\)", match["asked"])
        for project, numbers in re.findall(
            r"([\w-]+) ((?:#\d+(?:, )?)+)", "; ".join(issues)
        ):
            for number in re.findall(r"\d+", numbers):
                found[project, number] = match["answer"]
    return found


@pytest.mark.parametrize("project", ASKED)
def test_every_question_has_an_answer_with_a_link_that_leads_somewhere(project):
    known = answers()
    for number in ASKED[project].split():
        links = LINK.findall(known.get((project, number), ""))
        assert links, f"{project} #{number} is not answered in docs/answers.md"
        for link in links:
            assert (ANSWERS.parent / link).exists(), link


def test_no_other_issue_is_named():
    asked = {(project, n) for project, ns in ASKED.items() for n in ns.split()}
    assert set(answers()) == asked
