"""Limits on what is read from files, shared by all readers.

Each is well above what real models and data have, and low enough that a file within it
is read in about 2 seconds and 500 MB. `train` checks its models and data against the
same limits before it trains.
"""

from __future__ import annotations

MiB = 2**20

# --- Files, in bytes ------------------------------------------------------------------

# A file that is read in one go. Three copies of a text must fit in memory.
FILE = 512 * MiB
# JSON becomes up to twenty times larger in memory.
JSON = 16 * MiB
CONFIG = 16 * MiB
METADATA = 4 * MiB
# A history of many epochs, and the gradient norm of each batch.
CHECKPOINT = 400 * 10**6
CARD = MiB
MANIFEST = 10_000
SHA256 = "[0-9a-f]{64}"  # pattern of a checksum
INDEX = MiB
# A piece of music in MIDI has about 100 KB; Python reads each byte by itself.
MIDI = MiB
# Piano rolls, packed and unpacked.
ROLLS = 64 * MiB
UNPACKED = 128 * MiB

# --- JSON -----------------------------------------------------------------------------

DEPTH = 32  # levels of nested objects and lists
CONTAINERS = 500_000  # objects and lists in total

# --- Models ---------------------------------------------------------------------------

WEIGHTS = 100_000_000
LAYERS = 128
FEATURES = 1_000_000
# A file of weights: in single precision, with the overhead of HDF5.
WEIGHTS_FILE = 4 * WEIGHTS + 16 * MiB
# Groups and arrays in it. A layer has up to five of them, and up to five arrays.
OBJECTS = 2_000
NESTED = 12  # levels of nested groups
# Unpacked size over packed size. Trained weights hardly compress; a zip bomb does.
RATIO = 100

# --- Recipes: fields that are sizes ---------------------------------------------------

RECIPE = {
    "batch_size": 65_536,
    "window": 100_000,
    "epochs": 1_000_000,
    "units": 65_536,
    "stride": 100_000,
    "convolutions": 32,
    "filters": 4_096,
    "passes": 10_000,
    "layers": 32,
    "embedding": 65_536,
    "updates": 1_000_000,
    "delay": 100_000,
    "horizon": 10_000,
    "season": 1_000_000,
    "window_deviation": 100_000,
    "mean_window": 100_000,
}
# Any other number in a recipe, except its seed.
WHOLE = 10**9
# Timesteps of a sequence if a task draws thousands; timesteps of a generated batch.
STEPS = 10_000
GENERATED = 20_000_000

# --- Music ----------------------------------------------------------------------------

FRAMES = 100_000  # of a piece: seven hours in eighths
ALL_FRAMES = 1_000_000  # of all pieces
PIECES = 100_000

# --- Releases -------------------------------------------------------------------------

MIRRORS = 16
