"""The protocol between a contestant and the program that runs the benchmark.

A contestant is a process. It builds its model, makes one update, and then works only
on command, given by lines on its standard input; it answers with lines of JSON:

    (start)    {"first": seconds, "imports_mib": MiB, "versions": {name: version}},
               and "kernel": name, if the contestant has several
    go         {"seconds": per window, "cpu": the same over all cores, "loss": nats,
               "others": cores that other processes took, or null if unknown}
    stop       {"peak_mib": MiB}, and it ends

or, at any time, `{"error": "Type: message"}`.

Plain Python, because every contestant's environment imports it.
"""

import json
import os
import resource
import sys
import time

from tests.benchmarks import load
from tests.benchmarks.shapes import Shape


def serve(build, versions, arguments=None, *, about=None):
    """Runs a contestant; the command line is a `Shape` and options, both in JSON.

    Args:
        build: Function `(shape, **options) -> train`. `train(windows)` trains on so
            many windows from the start of the series, with the state fresh at the
            start, and returns their mean loss in nats.
        versions: `{name: version}` of what is measured.
        arguments: In place of the command line, without the program's name.
        about: Function `train -> dict` of what the first answer says in addition,
            called after the first update; it raises if something else than what was
            asked for ran.
    """
    shape, options = (json.loads(a) for a in arguments or sys.argv[1:3])
    shape = Shape(**shape)
    say = _speaker()
    try:
        # A library that is imported may be large: the reader can take it off.
        imports = _peak_mib()
        start = time.perf_counter()
        train = build(shape, **options)
        train(shape.batch_windows)
        first = time.perf_counter() - start
        more = about(train) if about else {}
        say({"first": first, "imports_mib": imports, "versions": versions, **more})
        for line in sys.stdin:
            if line.strip() == "stop":
                say({"peak_mib": _peak_mib()})
                return
            say(_turn(train, shape.windows))
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        say({"error": f"{type(error).__name__}: {lines[0]}"})
        raise


def _turn(train, windows):
    before = load.read_clocks()
    loss = train(windows)
    after = load.read_clocks()
    return {
        "seconds": (after.wall - before.wall) / windows,
        "cpu": (after.own - before.own) / windows,
        "loss": loss,
        "others": load.others(before, after),
    }


def _speaker():
    """A function that sends an answer, through a file that nobody else prints to."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer):
        print(json.dumps(answer), file=answers, flush=True)

    return say


def _peak_mib():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
