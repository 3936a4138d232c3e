"""Single steps: a session, a bare compiled function, and exported files.

python -m tests.benchmarks.session [--rounds 7] [--cpu] [--steps 1000000] [--record]

The model is two LSTM(128) on 32 features. Times are of one timestep a call, the state
passed from call to call:

- `Session.step` against `PureStep` in a compiled function of nested state, with XLA and
  without, 1 row and 64.
- 64 rows in one call against 64 calls of one row.
- Exported files in ONNX Runtime and LiteRT on one thread, all inputs and outputs copied
  in and out of Python.

With `--cpu`, processor time of this process is counted, for a machine on which other
programs run. With `--steps`: a stream of that many steps through LSTM(16), one at a
time, its memory and its distance to one uncut run.
"""

import argparse
import functools
import resource
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine, median_ratio, report, take_turns

FEATURES, UNITS, CALLS = 32, 128, 200


def model_of(units=UNITS, layers=2):
    """LSTMs, one on top of the other."""
    recurrent = [
        bk.layers.LSTM(units, return_sequences=True, name=f"lstm_{i}")
        for i in range(layers)
    ]
    return keras.Sequential([keras.Input((None, FEATURES)), *recurrent])


def repeated(function, calls=CALLS):
    """A function that is called many times in a turn."""

    def run():
        for _ in range(calls):
            function()

    return run


def bare_function(model, rows, xla):
    """A compiled function of nested state, as one writes it by hand."""
    step = bk.PureStep(model)
    compiled = tf.function(
        lambda x, state: step(x, state), jit_compile=xla, autograph=False
    )
    x, held = tf.zeros((rows, 1, FEATURES)), [step.initial_state(rows)]

    def run():
        outputs, held[0] = compiled(x, held[0])
        return outputs

    return run


def session_function(model, rows, xla):
    """The same with a session; the input is a NumPy array."""
    session = bk.Session(model, rows, jit_compile=xla)
    return functools.partial(session.step, np.zeros((rows, 1, FEATURES), "float32"))


def sessions(model, turns):
    """Sessions against bare functions; how many times as fast, at least and at most."""
    speeds = []
    for rows in (1, 64):
        for xla in (True, False):
            contestants = {
                "bare function": repeated(bare_function(model, rows, xla)),
                "Session.step": repeated(session_function(model, rows, xla)),
            }
            times = turns(contestants)
            print(f"\n{rows} rows, {'XLA' if xla else 'no XLA'}")
            report(times, "bare function", per=CALLS / 1e3, unit="us")
            speeds.append(median_ratio(times["bare function"], times["Session.step"]))
    return {"session_low": min(speeds), "session_high": max(speeds)}


def throughput(model, turns):
    """64 rows in one call against 64 calls; how many times as fast."""
    one, many = (session_function(model, rows, "auto") for rows in (1, 64))

    def one_by_one():
        for _ in range(64):
            one()

    contestants = {"64 calls of 1 row": one_by_one, "1 call of 64 rows": many}
    times = turns({name: repeated(f, 20) for name, f in contestants.items()})
    print("\nthroughput")
    report(times, "64 calls of 1 row", per=20, unit="ms")
    return {"rows_64": median_ratio(*times.values())}


def with_onnx(path, rows):
    """A step of a file in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    names = ["outputs"] + [f"new_{n}" for n in state_of(rows)]
    given = {"inputs": np.zeros((rows, 1, FEATURES), "float32"), **state_of(rows)}
    order = list(state_of(rows))

    def run():
        _, *state = session.run(names, given)
        given.update(zip(order, state, strict=True))

    return run


def with_litert(path, rows):
    """A step of a file in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    endpoint = interpreter.get_signature_runner("serving_default")
    into = {k: v["index"] for k, v in endpoint.get_input_details().items()}
    out = {k: v["index"] for k, v in endpoint.get_output_details().items()}
    given = {"inputs": np.zeros((rows, 1, FEATURES), "float32"), **state_of(rows)}

    def run():
        for name, value in given.items():
            interpreter.set_tensor(into[name], value)
        interpreter.invoke()
        interpreter.get_tensor(out["outputs"])
        for name in order:
            given[name] = interpreter.get_tensor(out[f"new_{name}"])

    order = list(state_of(rows))
    return run


def state_of(rows):
    """The initial state by its names in the files."""
    zeros = np.zeros((rows, UNITS), "float32")
    return {f"state_lstm_{i}_{s}": zeros for i in range(2) for s in "hc"}


def exported(model, turns):
    """Exported files in their runtimes; microseconds of 1 row, and a row of 64."""
    found = {}
    makers = {"onnx": (".onnx", with_onnx), "litert": (".tflite", with_litert)}
    with tempfile.TemporaryDirectory() as folder:
        for rows in (1, 64):
            contestants = {}
            for format, (suffix, maker) in makers.items():
                path = Path(folder) / f"{rows}{suffix}"
                bk.export(model, path, format, rows=rows)
                contestants[format] = repeated(maker(path, rows))
            times = turns(contestants)
            print(f"\nexported, {rows} rows")
            report(times, "onnx", per=CALLS / 1e3, unit="us")
            for name, seconds in times.items():
                each = 1e6 * statistics.median(seconds) / CALLS / rows
                print(f"{name}: {each:.1f} us a row")
                found[f"{name}_us" if rows == 1 else f"{name}_row_us"] = each
    return found


def long_stream(steps):
    """A stream, one step at a time, against one uncut run; what is published."""
    model = model_of(16, layers=1)
    x = np.random.default_rng(0).normal(size=(1, steps, FEATURES)).astype("float32")
    session, outputs = bk.Session(model), np.zeros((1, steps, 16), "float32")
    outputs += 1  # so that all of it is in memory before the clock starts
    start = time.perf_counter()
    for i in range(steps):
        outputs[:, i] = session.step(x[:, i : i + 1])[:, 0]
        if i == steps // 100:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    whole, _ = tf.function(bk.PureStep(model), autograph=False)(tf.constant(x))
    distance = np.abs(whole.numpy() - outputs).max()
    print(
        f"\n{steps:,} steps: {1e6 * seconds / steps:.0f} us a step, memory grew by "
        f"{grown / 1024:.1f} MB after the first 1 %, largest difference to the uncut "
        f"run {distance:.1g}"
    )
    shown = f"{distance:.0e}".replace("e-0", "e-")
    return {"steps": steps, "grown_mib": grown / 1024, "distance": shown}


def main():
    """Prints the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--steps", type=int, default=0)
    figures.add_options(parser, "session")
    args = parser.parse_args()
    print(describe_machine())
    print(f"{args.rounds} rounds in turn")
    if args.steps:
        figures.publish(args, long_stream(args.steps), name="session_steps")
        return
    clock = time.process_time if args.cpu else time.perf_counter
    print("processor time" if args.cpu else "wall time")
    turns = functools.partial(take_turns, rounds=args.rounds, clock=clock)
    model = model_of()
    found = {**sessions(model, turns), **throughput(model, turns)}
    figures.publish(args, {**found, **exported(model, turns)})


if __name__ == "__main__":
    main()
