"""The machine that a measurement was made on, and rounds of contestants in turn."""

import os
import platform
import re
import statistics
import time

from tests.benchmarks import load

# Contestants beside which other processes took time, in this process: what was
# measured of them is not to be published.
disturbed = set()


def describe_machine():
    """Processor, cores, GPUs that TensorFlow may use and versions, in one line."""
    import keras
    import tensorflow as tf

    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            names = [
                line.split(":")[1].strip() for line in file if "model name" in line
            ]
        name = names[0] if names else name
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    name = ", ".join([name, f"{os.cpu_count()} cores", *gpus])
    return (
        f"{name}, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def name_machine(cpuinfo="/proc/cpuinfo", cores=None):
    """What a published number says of its machine: "2-core AMD EPYC with AVX-512".

    Args:
        cpuinfo: The file in which Linux describes the processor.
        cores: Their number, if not that of this machine.
    """
    found = {}
    if os.path.exists(cpuinfo):
        with open(cpuinfo) as file:
            pairs = [line.partition(":") for line in file]
        found = {key.strip(): value.strip() for key, _, value in pairs}
    name = re.sub(r"\(\w+\)", "", found.get("model name", ""))
    # The vendor and the family; the model says little of a virtual machine.
    name = " ".join(name.split()[:2]) or platform.machine()
    flags = found.get("flags", "").split()
    sets = ["AVX-512" if "avx512f" in flags else "AVX2"] if "avx2" in flags else []
    sets += ["AMX"] if "amx_tile" in flags else []
    extra = f" with {' and '.join(sets)}" if sets else ""
    return f"{cores or os.cpu_count()}-core {name}{extra}"


def take_turns(contestants, rounds, *, clock=time.perf_counter):
    """Times functions in turn, A B C A B C ..., so that drift hits all alike.

    A turn that other processes disturb is repeated; if they still do, a line says so.

    Args:
        contestants: `{name: function}`; each is called once before the clock starts.
        rounds: How often each is timed.
        clock: Function that returns seconds. `time.process_time` counts those of all
            threads of this process, which other programs disturb less.

    Returns:
        `{name: [seconds, ...]}`.
    """
    times, worst = {name: [] for name in contestants}, {}
    for function in contestants.values():
        function()
    for _ in range(rounds):
        for name, function in contestants.items():
            turns = load.repeat(lambda f=function: _turn(f, clock), tries=4, pause=0.1)
            made = turns[-1]
            times[name].append(made["seconds"])
            if load.disturbs(made["others"]):
                worst[name] = max(made["others"], worst.get(name, 0.0))
    for name, cores in worst.items():
        print(f"WORTHLESS: other processes took up to {cores:.2f} cores beside {name}")
        disturbed.add(name)
    return times


def _turn(function, clock):
    before, start = load.read_clocks(), clock()
    function()
    seconds, after = clock() - start, load.read_clocks()
    return {"seconds": seconds, "others": load.others(before, after)}


def median_ratio(baseline, own):
    """Median over rounds of `baseline / own`, each round divided by itself.

    Args:
        baseline: Seconds of each round.
        own: Seconds of the same rounds.
    """
    pairs = zip(baseline, own, strict=True)
    return statistics.median(base / each for base, each in pairs)


def report(times, baseline, *, per=1, unit="ms"):
    """Prints median, spread and ratio to a baseline, round by round.

    Args:
        times: From `take_turns`.
        baseline: Name of the contestant that the others are divided into.
        per: Pieces of work in one call.
        unit: `"ms"`, printed only.
    """
    print(f"{'':24}{'median ' + unit:>12}{'min':>9}{'max':>9}{'speed':>8}")
    for name, seconds in times.items():
        each = [1e3 * s / per for s in seconds]
        ratio = median_ratio(times[baseline], seconds)
        print(
            f"{name:24}{statistics.median(each):12.2f}{min(each):9.2f}"
            f"{max(each):9.2f}{ratio:7.2f}x"
        )
