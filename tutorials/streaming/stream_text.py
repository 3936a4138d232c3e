"""Streams text from an exported character model, without TensorFlow or Keras.

    pip install "bptt_keras[cpu,zoo,onnx]"            # to export, on one machine
    bptt-zoo export tiny-shakespeare --format onnx
    pip install numpy onnxruntime                     # or ai-edge-litert: to run it
    python stream_text.py tiny-shakespeare-step.onnx --prompt "ROMEO:"

All that it knows about the model comes from the JSON file beside it: names, shapes,
which output is which input of the next step, the initial state, and the vocabulary.
"""

import argparse
import json
from pathlib import Path

import numpy as np


def open_onnx(path):
    """A function from named arrays to named arrays, in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return lambda values: dict(zip(names, session.run(names, values), strict=True))


def open_litert(path):
    """The same in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    step = Interpreter(str(path)).get_signature_runner()
    return lambda values: {k: np.array(v) for k, v in step(**values).items()}


class Stream:
    """A model that reads one character at a time and keeps its state."""

    def __init__(self, path):
        said = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
        self.run = {"onnx": open_onnx, "litert": open_litert}[said["format"]](path)
        self.input, self.output = said["inputs"][0], said["outputs"][0]["name"]
        self.states = said["state"]
        self.characters = said["preprocessing"]["vocabulary"]
        self.unknown = said["preprocessing"]["unknown_id"]
        self.state = {}
        for entry in self.states:
            value = np.zeros(entry["shape"], entry["dtype"])
            if entry["initial"] != "zeros":
                value[:] = entry["initial"]
            self.state[entry["input"]] = value

    def step(self, character):
        """Reads a character; returns the logits of the next one."""
        known = character in self.characters
        number = self.characters.index(character) if known else self.unknown
        x = np.full(self.input["shape"], number, self.input["dtype"])
        results = self.run({self.input["name"]: x, **self.state})
        self.state = {e["input"]: results[e["output"]] for e in self.states}
        return results[self.output][0, 0, : len(self.characters)].astype("float64")


def draw(logits, temperature, random):
    """The number of a character; the likeliest at temperature 0."""
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / temperature)
    return int(random.choice(len(weights), p=weights / weights.sum()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="an exported step of one row, .onnx or .tflite")
    parser.add_argument("--prompt", default="The ", help="how the text begins")
    parser.add_argument("--length", type=int, default=500, help="characters to add")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.prompt or args.temperature < 0:
        parser.error("--prompt must not be empty, --temperature not below 0")
    stream, random = Stream(args.file), np.random.default_rng(args.seed)
    print(args.prompt, end="", flush=True)
    for character in args.prompt:
        logits = stream.step(character)
    for _ in range(args.length):
        character = stream.characters[draw(logits, args.temperature, random)]
        print(character, end="", flush=True)
        logits = stream.step(character)
    print()


if __name__ == "__main__":
    main()
