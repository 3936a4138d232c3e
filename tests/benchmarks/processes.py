"""Speed of training in several processes, each on a core of its own.

python -m tests.benchmarks.processes [--rounds 3] [--workers 2] [--dtype float32]
    [--rate 1gbit] [--record]

Each process has the same number of rows, whatever their number, so with `n` of them an
update is of `n` times as many rows. `efficiency`: timesteps a second of all processes
beside `n` times those of one process on one core, medians of rounds in which both take
turns. `exchange`: the part of the time that sums over processes take, waiting for one
another included, as `fit` logs it.

Then a model of the time of an update is fitted to sums of vectors of several sizes
between these processes,

    seconds = compute + latency + bytes / bandwidth

with which one may reckon what another network would give: in a ring of `n` processes,
`latency` is that of `2 (n - 1)` messages, and each byte of a gradient travels
`2 (n - 1) / n` times.

With `--rate`, two processes are in network namespaces of their own, with a link of that
rate in each direction (Linux, as root).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.distribute.launching import launch
from bptt_keras.process_group import current
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine

# Units, rows of a process, window.
SHAPES = {"LSTM(256), 64 rows, window 100": (256, 64, 100)}
SHAPES |= {"LSTM(128), 32 rows, window 64": (128, 32, 64)}
FEATURES, WINDOWS, EPOCHS = 32, 8, 4
SIZES = (1_000, 10_000, 100_000, 1_000_000)
REPEATS = 30
_NETWORK = "10.77.13."


def trained(units, rows, window):
    """Median timesteps a second, and the share of sums, of epochs after the first."""
    rows *= bk.distribute.process_count()
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(rows, WINDOWS * window, FEATURES))
    x = np.tile(x.astype("float32"), (3, 1, 1))
    model = keras.Sequential(
        [
            keras.layers.Input((None, FEATURES)),
            bk.layers.LSTM(units, return_sequences=True),
            keras.layers.Dense(8),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=window)
    trainer.compile(keras.optimizers.Adam(global_clipnorm=1.0), "mse")
    history = trainer.fit(
        x, x[..., :8], batch_size=rows, epochs=EPOCHS, shuffle=False, verbose=0
    ).history
    shares = history.get("exchange_share", [0.0] * EPOCHS)
    speeds = history["timesteps_per_second"]
    return statistics.median(speeds[1:]), statistics.median(shares[1:])


def summed():
    """`{size: seconds}` of a sum over all processes, medians."""
    group, found = current(), {}
    for size in SIZES:
        total = tf.function(group.total)
        vector, times = tf.ones((size,)), []
        for _ in range(REPEATS):
            began = time.perf_counter()
            total(vector).numpy()
            times.append(time.perf_counter() - began)
        found[size] = statistics.median(times[5:])
    return found


def work(path, dtype):
    """What one process does."""
    bk.distribute.initialize(gradient_dtype=dtype)
    found = {name: trained(*shape) for name, shape in SHAPES.items()}
    if bk.distribute.process_count() > 1:
        found["sums"] = summed()
    if bk.distribute.is_first():
        Path(path).write_text(json.dumps(found))


def measured(workers, dtype):
    """What that many processes have measured, each on a core of its own."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "found.json")
        command = [sys.executable, "-m", "tests.benchmarks.processes", "--work"]
        cores = sorted(os.sched_getaffinity(0))
        try:
            os.sched_setaffinity(0, cores[:workers])
            status = launch([*command, str(path), "--dtype", dtype], workers)
        finally:
            os.sched_setaffinity(0, cores)
        if status:
            raise SystemExit(status)
        return json.loads(path.read_text())


@contextlib.contextmanager
def linked(rate):
    """Within: two network namespaces with a limited link; yields their commands."""
    names = [f"bench{os.getpid()}-{place}" for place in range(2)]
    ends = [f"b{os.getpid()}e{place}" for place in range(2)]
    pair = ["type", "veth", "peer", "name", ends[1]]
    limits = ["tbf", "rate", rate, "burst", "256kb", "latency", "50ms"]
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", ends[0], *pair)
        for place, (name, end) in enumerate(zip(names, ends, strict=True)):
            _ip("link", "set", end, "netns", name)
            address = f"{_NETWORK}{place + 1}/24"
            _ip("-n", name, "addr", "add", address, "dev", end)
            for device in (end, "lo"):
                _ip("-n", name, "link", "set", device, "up")
            shape = ["tc", "qdisc", "add", "dev", end, "root", *limits]
            _ip("netns", "exec", name, *shape)
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def measured_over(commands, dtype):
    """What two processes have measured, each behind a command and on its own core."""
    addresses = [f"{_NETWORK}{place + 1}:8476" for place in range(2)]
    with TemporaryDirectory() as folder:
        path = Path(folder, "found.json")
        work = [sys.executable, "-m", "tests.benchmarks.processes", "--work", str(path)]
        processes = []
        for place, command in enumerate(commands):
            task = {"type": "worker", "index": place}
            known = json.dumps({"cluster": {"worker": addresses}, "task": task})
            pinned = ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[place])]
            processes.append(
                subprocess.Popen(
                    [*command, *pinned, *work, "--dtype", dtype],
                    env={**os.environ, "TF_CONFIG": known},
                )
            )
        if any([process.wait() for process in processes]):
            raise SystemExit(1)
        return json.loads(path.read_text())


def model_of(sums, workers):
    """`(seconds, bytes a second)`: latency and bandwidth, by least squares."""
    bytes_sent = [4 * int(size) * 2 * (workers - 1) / workers for size in sums]
    # Relative errors count: otherwise the largest vector alone would.
    weights = [1 / seconds for seconds in sums.values()]
    slope, latency = np.polyfit(bytes_sent, list(sums.values()), 1, w=weights)
    return latency, 1 / slope


def main():
    """Runs the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rate", help="of the link, such as 1gbit")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    figures.add_options(parser, "processes")
    given = parser.parse_args()
    if given.work:
        work(given.work, given.dtype)
        return
    print(describe_machine())
    found = {1: [], given.workers: []}
    with contextlib.ExitStack() as stack:
        commands = None
        if given.rate:
            commands = stack.enter_context(linked(given.rate))
            print(f"two processes over a link of {given.rate}")
        for _ in range(given.rounds):
            found[1].append(measured(1, given.dtype))
            many = found[given.workers]
            if commands is None:
                many.append(measured(given.workers, given.dtype))
            else:
                many.append(measured_over(commands, given.dtype))
    speeds = {}
    for name, (units, *_) in SHAPES.items():
        one, many = (
            statistics.median(round[name][0] for round in rounds)
            for rounds in found.values()
        )
        share = statistics.median(round[name][1] for round in found[given.workers])
        efficiency = many / (given.workers * one)
        speeds[f"lstm_{units}"] = many / one
        print(
            f"{name}: {one:,.0f} and {many:,.0f} timesteps/s, efficiency "
            f"{efficiency:.0%}, exchange {share:.0%}"
        )
    sums = {
        size: statistics.median(r["sums"][size] for r in found[given.workers])
        for size in found[given.workers][0]["sums"]
    }
    latency, bandwidth = model_of(sums, given.workers)
    for size, seconds in sums.items():
        print(f"sum of {int(size):>9,} floats: {1000 * seconds:.2f} ms")
    print(f"latency {1000 * latency:.2f} ms, bandwidth {bandwidth / 1e6:,.0f} MB/s")
    figures.publish(given, speeds)


if __name__ == "__main__":
    main()
