import os
import subprocess
import sys

import pytest

from zoo.system.errors import UserError
from zoo.system.quiet import import_tensorflow


def in_a_new_process(*arguments, **environment):
    """A command as a user runs it: nothing is imported, no variable is set."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
    return subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**variables, **environment},
    )


@pytest.mark.parametrize("command", ["resume", "report"])
@pytest.mark.quick(1)
def test_a_refusal_is_one_line_without_messages_of_tensorflow(command, tmp_path):
    done = in_a_new_process(command, tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("bptt-zoo: There is no")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_measurement_prints_nothing_but_its_result():
    done = in_a_new_process("evaluate", "echo-8")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "accuracy 0.99" in done.stdout


def test_another_keras_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND names another package: jax"):
        import_tensorflow()
