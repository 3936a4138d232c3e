"""Each recurrent layer passes in each format, or is refused by name."""

import time

import pytest
import tensorflow as tf

from bptt_keras.exporting.step import ExportedStep
from tests.exporting.layers import FORMATS, LAYERS, model_of, outcome

# What holds for any other number of timesteps is in the table of
# `docs/guides/sessions.md`, which `tests.benchmarks.exported` prints: it depends on
# converters.
SINGLE = [(1, 1), (None, 1)]


def operations(graph):
    """The kinds of all operations of a graph, those of its functions included."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    return {node.op for node in nodes}


# One of each kind of kernel, the one with complex numbers among them.
QUICK = [
    *("bk.layers.LSTM", "bk.layers.GRU", "bk.layers.LayerNormLSTM", "bk.layers.LRU"),
    *("keras.layers.LSTM", "keras.layers.GRU"),
]


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LAYERS],
)
def test_a_single_timestep_has_no_loop_and_no_complex_number(name):
    step = ExportedStep(
        model_of(LAYERS[name], count=1), rows=1, timesteps=1, reset=True, example=None
    )
    graph = step.function.get_concrete_function().graph
    kinds = operations(graph)
    assert not {k for k in kinds if "While" in k or "TensorList" in k or "For" in k}
    assert not {k for k in kinds if "Xla" in k or "Complex" in k or "MulNoNan" in k}
    assert "MatMul" in kinds
    dtypes = {t.dtype for op in graph.get_operations() for t in op.outputs}
    assert not {tf.complex64, tf.complex128} & dtypes


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_single_timestep_of_every_layer_passes(name, format, tmp_path):
    for number, (rows, timesteps) in enumerate(SINGLE):
        folder = tmp_path / str(number)
        assert outcome(name, format, folder, rows=rows, timesteps=timesteps) is None


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", LAYERS)
def test_any_number_of_timesteps_passes_or_is_refused_in_time(name, format, tmp_path):
    for number, rows in enumerate((1, None)):
        start = time.process_time()
        outcome(name, format, tmp_path / str(number), rows=rows, timesteps=None)
        # Processor time: other programs do not count.
        assert time.process_time() - start < 30
