"""Each private feature of `argparse` that the command line relies on still exists."""

import argparse

import pytest

from zoo.cli.argparse_internals import all_arguments, invalid_choice, options_of


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def made():
    parser = Parser(add_help=False)
    parser.add_argument("--above")
    child = parser.add_subparsers(parser_class=Parser).add_parser("go", add_help=False)
    child.add_argument("how", choices=["fast", "slow"])
    return parser


def test_arguments_of_subparsers_are_found():
    found = [argument.dest for argument in all_arguments(made())]
    assert found == ["above", "how"], (
        "argparse no longer keeps arguments in `_actions`, or subparsers in a "
        "`_SubParsersAction`"
    )


def test_options_are_found_as_written():
    assert list(options_of(made())) == ["--above"], (
        "argparse no longer keeps options in `_option_string_actions`"
    )


def test_an_invalid_choice_is_read_from_the_error():
    with pytest.raises(ValueError) as raised:
        made().parse_args(["go", "fats"])
    assert invalid_choice(str(raised.value)) == ("fats", ["fast", "slow"]), (
        "argparse words an invalid choice in another way"
    )
    assert invalid_choice("too few") is None
