import subprocess
import sys

from zoo.store.hub import locate

READ = """
import sys
import zoo
from zoo.store.folder import read_metadata

assert read_metadata(sys.argv[1])["task"] == "delayed-echo"
assert zoo.list_presets()
for name in ("zoo.tasks", "tensorflow", "keras", "numpy"):
    print(name, name in sys.modules)
"""


def test_metadata_are_read_without_the_tasks():
    command = [sys.executable, "-c", READ, str(locate("echo-8"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = dict(line.split() for line in done.stdout.splitlines())
    assert set(found.values()) == {"False"}, found
