"""The native library, where there is one, with each set of instructions."""

import pytest

from bptt_keras.kernels.native import probe
from bptt_keras.kernels.native.library import SETS, library


@pytest.fixture
def native():
    """The library; `test_library.py` fails where it should be there and is not."""
    if reason := probe.why_not(xla=True) or probe.why_not(xla=False):
        pytest.skip(f"native kernels do not run: {reason}")
    made = library()
    before = made.chosen()
    yield made
    made.choose(before)


@pytest.fixture(params=SETS)
def instructions(request, native):
    """Each set of instructions that the processor has, in use."""
    if request.param not in native.sets():
        pytest.skip(f"this processor, or the library, has no {request.param}")
    native.choose(request.param)
    return request.param


@pytest.fixture
def counted(native):
    """A function that returns how many calls of the library there were since."""
    before = native.calls()
    return lambda: native.calls() - before
