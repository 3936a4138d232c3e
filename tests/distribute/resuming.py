"""A training that saves, is killed if that is asked for, and resumes.

python -m tests.distribute.resuming FOLDER CASE DIE: ends at once before batch DIE of
this run; 0: it runs to its end and writes its weights and history into FOLDER.
"""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

import bptt_keras as bk
from tests.distribute.program import trained


class Dies(keras.callbacks.Callback):
    """Ends the process before it has trained on a batch."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def get_state(self):
        return None

    def set_state(self, state):
        pass

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            os._exit(0)


def main(folder, case, die):
    folder = Path(folder)
    bk.distribute.initialize(timeout=120, seed=3)
    resume = bk.callbacks.Resume(folder / "saves", every=3)
    log = keras.callbacks.CSVLogger(folder / "log.csv")
    trainer, told = trained(case, callbacks=[Dies(int(die)), log, resume])
    if bk.distribute.is_first():
        np.savez(folder / "weights.npz", *[v.numpy() for v in trainer.weights])
        (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
