"""Docstrings become reStructuredText that says the same."""

import sys
import textwrap

import pytest

from tests.project.files import ROOT

sys.path.append(str(ROOT / "docs" / "extensions"))

from docstrings import to_rst  # noqa: E402


def converted(docstring):
    lines = to_rst(textwrap.dedent(docstring).strip("\n").split("\n"))
    return "\n".join(line.rstrip() for line in lines).strip("\n")


@pytest.mark.parametrize(
    "written, expected",
    [
        ("The `window` of *all*.", r"The ``window`` of \*all\*."),
        ("|theta - optimum| of h_prev_", r"\|theta - optimum\| of h\_prev\_"),
        ("`a` and `**kwargs`s", "``a`` and ``**kwargs``\\ s"),
    ],
)
def test_code_is_literal_and_other_signs_mean_nothing(written, expected):
    assert converted(written) == expected


def test_an_indented_formula_is_a_block_of_its_own():
    told = converted(
        """
        The loss is

            l = sum(w * x)

            w >= 0

        over *all* steps.
        """
    )
    assert ".. code-block:: text\n\n   l = sum(w * x)\n\n   w >= 0\n" in told
    assert told.endswith(r"over \*all\* steps.")


def test_arguments_are_definitions_with_all_of_their_text():
    told = converted(
        """
        First.

        Args:
            a: One
                line `x`.
            b, c: Two.

                Formula:

                    b = c
            **kwargs: The rest.

        Returns:
            A *value*.
        """
    )
    assert ".. rubric:: Arguments\n\n``a``\n   One\n   line ``x``." in told
    assert "``b, c``\n   Two.\n\n   Formula:" in told
    assert "      b = c" in told
    assert "``**kwargs``\n   The rest." in told
    assert told.endswith(".. rubric:: Returns\n\nA \\*value\\*.")


def test_text_after_a_section_is_text_again():
    told = converted(
        """
        First.

        Args:
            a: One.

        The arguments are attributes.
        """
    )
    assert told.startswith("First.\n\nThe arguments are attributes.")


def test_an_example_is_code_and_a_source_is_a_paragraph():
    told = converted(
        """
        First.

        Example:
            import x

            x.f(1)

        Source: A & B (2020),
        section 2.
        """
    )
    assert ".. code-block:: python\n\n   import x\n\n   x.f(1)" in told
    assert told.endswith(".. rubric:: Source\n\nA & B (2020),\nsection 2.")


def test_bullets_stay_bullets():
    told = converted(
        """
        These:

        - one that
          goes on,
        - two.
        """
    )
    assert told == "These:\n\n- one that\n  goes on,\n\n- two."
