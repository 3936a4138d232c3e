"""Loads the native kernels of the installed package and says what is in them.

Fails where it has none. Does not import the package: it needs no TensorFlow.
"""

import ctypes
import importlib.metadata
import sys

files = importlib.metadata.files("bptt_keras") or []
found = [file for file in files if file.name == "bptt_native.so"]
if not found:
    sys.exit("The installed package has no native kernels.")
path = str(found[0].locate())
library = ctypes.CDLL(path)
library.bptt_native_sets.restype = ctypes.c_char_p
print(f"{path}: {library.bptt_native_sets().decode()}")
