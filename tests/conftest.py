"""What every test shares: quiet TensorFlow, fixed seeds, the shared data folder."""

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

ROOT = Path(__file__).resolve().parent.parent


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
    gc.collect()


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
