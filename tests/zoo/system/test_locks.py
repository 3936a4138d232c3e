import subprocess
import sys

from zoo.system.locks import alone_in
from zoo.system.output import prepare_output


def test_a_second_process_is_refused_while_the_first_holds_the_lock(tmp_path):
    script = (
        "import sys\nfrom zoo.system.errors import UserError\n"
        "from zoo.system.locks import alone_in\n"
        "try:\n    with alone_in(sys.argv[1]): print('alone')\n"
        "except UserError as error: print(error)"
    )

    def other():
        command = [sys.executable, "-c", script, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    with alone_in(tmp_path):
        assert "Another process trains in" in other()
    assert other() == "alone\n"
    # The lock's file makes no folder an occupied one.
    assert prepare_output(tmp_path, overwrite=False) == tmp_path
