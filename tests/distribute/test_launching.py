"""One command starts a program several times."""

import json
import subprocess
import sys
import time

import pytest

from bptt_keras.distribute.launching import launch


def program(text):
    return [sys.executable, "-c", text]


def test_each_process_knows_its_place(tmp_path):
    text = (
        "import json, os, pathlib; known = json.loads(os.environ['TF_CONFIG']);"
        f"path = pathlib.Path({str(tmp_path)!r}, str(known['task']['index']));"
        "path.write_text(json.dumps([known, sorted(os.sched_getaffinity(0))]))"
    )
    assert launch(program(text), 2) == 0
    (first, cores), (second, others) = (
        json.loads((tmp_path / name).read_text()) for name in "01"
    )
    assert first["cluster"] == second["cluster"]
    assert len(set(first["cluster"]["worker"])) == 2
    assert [k["task"]["type"] for k in (first, second)] == ["worker", "worker"]
    assert not set(cores) & set(others) or len({*cores, *others}) == 1


def test_the_status_is_that_of_the_first_that_failed(capfd):
    text = (
        "import json, os, sys, time; i = json.loads(os.environ['TF_CONFIG'])['task'];"
        "i['index'] and (print('a fault'), sys.exit(7)); time.sleep(0.5); sys.exit(3)"
    )
    assert launch(program(text), 2) == 7
    assert "[process 1] a fault" in capfd.readouterr().err


def test_only_the_first_process_prints(capfd):
    assert launch(program("print('once')"), 3) == 0
    assert capfd.readouterr().out == "once\n"


def test_processes_that_remain_are_ended(monkeypatch):
    monkeypatch.setattr("bptt_keras.distribute.launching._PATIENCE", 0.3)
    text = (
        "import json, os, sys, time; i = json.loads(os.environ['TF_CONFIG'])['task'];"
        "i['index'] or sys.exit(4); time.sleep(60)"
    )
    began = time.monotonic()
    assert launch(program(text), 2) == 4
    assert time.monotonic() - began < 20


def test_each_process_has_a_gpu_of_its_own(tmp_path):
    text = (
        "import json, os, pathlib; i = json.loads(os.environ['TF_CONFIG'])['task'];"
        f"path = pathlib.Path({str(tmp_path)!r}, str(i['index']));"
        "path.write_text(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    assert launch(program(text), 2, environment={"CUDA_VISIBLE_DEVICES": "4,6"}) == 0
    assert [(tmp_path / name).read_text() for name in "01"] == ["4", "6"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workers", "0", "x.py"], "at least 1"),
        (["--workers", "2"], "no program"),
        (["x.py"], "--workers"),
    ],
)
@pytest.mark.quick(1)
def test_a_command_without_sense_is_refused(arguments, words):
    command = [sys.executable, "-m", "bptt_keras.distribute", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stderr
