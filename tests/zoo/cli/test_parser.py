import subprocess
import sys

import pytest

from tests.project.files import ROOT
from zoo.cli.commands import COMMANDS
from zoo.cli.parser import command_of
from zoo.plain.annotations import annotations_of

MODULES = {
    path.stem.replace("_", "-")
    for path in (ROOT / "zoo" / "cli" / "commands").glob("*.py")
} - {"--init--"}


def test_every_command_has_a_row_and_a_module():
    assert set(COMMANDS) == MODULES


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_typed_options_and_says_what_it_does(name):
    command = command_of(name)
    assert command.description.rstrip(")").endswith((".", "help.", '"'))
    assert annotations_of(command.options)
    assert callable(command.action)


def test_the_names_are_shown_without_the_commands_and_their_packages():
    code = (
        "import sys\nfrom zoo.cli.main import main\nassert main(['--help']) == 0\n"
        "heavy = {'numpy', 'pydantic', 'keras', 'tensorflow', 'zoo.tasks'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "loaded = [m for m in sys.modules if m.startswith('zoo.cli.commands.')]\n"
        "assert not loaded, loaded\n"
        "assert main(['train', 'char-lm', '--help']) == 0\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
