"""Shared by all tests: quiet TensorFlow, fixed seeds, the folder of shared data."""

import collections
import gc
import os
from pathlib import Path

# Read by TensorFlow and Matplotlib when they are first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

# Several processes of tests share a GPU.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import keras
import pytest
import tensorflow as tf

from bptt_keras.backend import has_gpu
from bptt_keras.tensorflow_internals import custom_gradients, forget_gradients

ROOT = Path(__file__).resolve().parent.parent

# Programs of a few units run once or twice: most of their time goes into LLVM's
# optimisations, fusions that MLIR emits and threads that share the work. XLA's own
# passes stay as they are.
HASTY_XLA = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1"
)


def pytest_configure(config):
    """The quick tests compile in haste; the slow ones as users' programs do.

    XLA reads its flags when it compiles for the first time.
    """
    if config.option.markexpr == "not slow" and not has_gpu():
        os.environ.setdefault("XLA_FLAGS", HASTY_XLA)
        if os.environ["XLA_FLAGS"] == HASTY_XLA:
            # Nor do the graphs around them run often enough to be rewritten first.
            tf.config.optimizer.set_experimental_options(
                {"disable_meta_optimizer": True}
            )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks what `quick` leaves out as slow."""
    seen = collections.Counter()
    for item in items:
        marker = item.get_closest_marker("quick")
        if marker is None or item.get_closest_marker("slow"):
            continue
        test = item.nodeid.partition("[")[0]
        seen[test] += 1
        if seen[test] > marker.args[0]:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish(session):
    """Spares the collector what imports have made: tracing starts it all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(autouse=True)
def fixed_seed_and_policy():
    """Each test starts from one seed and leaves the dtype policy as it was."""
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(20)
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="module", autouse=True)
def no_garbage_of_other_modules():
    """Frees traced graphs, which refer to themselves, before they are gigabytes."""
    yield
    keras.backend.clear_session()
    # TensorFlow 2.21 never forgets a custom gradient, nor the graph that it was for.
    forget_gradients(custom_gradients())
    gc.collect()
    # What is left stays: TensorFlow's and Keras' own objects, hundreds of thousands.
    gc.freeze()


@pytest.fixture(scope="session")
def root():
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real data sets beside the checkout; absent on most machines."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data folder ../shared/data, which is not here")
    return folder


@pytest.fixture
def gpu():
    """A GPU that multiplies in whole float32; absent on most machines."""
    if not has_gpu():
        pytest.skip("needs a GPU, and there is none here")
    rounds = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield "GPU:0"
    tf.config.experimental.enable_tensor_float_32_execution(rounds)
