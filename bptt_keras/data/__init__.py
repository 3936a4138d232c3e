"""Data for truncated backpropagation through time.

    streams         one long series, cut into rows that continue from batch to batch
    pack            many sequences back to back in such rows, with reset flags
    RaggedBatches   whole sequences, padded batch by batch; `unpad` removes the padding

With a dataset or generator of your own, a dict with a key says which rows continue,

    {"inputs": x, "key": k}

where `k`, `(batch,)` or `(batch, time)` integers or strings, identifies the sequence of
each row: a row continues the previous batch as long as its key stays the same, and
starts from the initial state where the key changes. TensorFlow 1's
`batch_sequences_with_states` told sequences apart in the same way, but needed queues
and saved states.
"""

from bptt_keras.data.pack import pack
from bptt_keras.data.ragged import RaggedBatches
from bptt_keras.data.streams import streams
from bptt_keras.data.unpad import unpad

__all__ = ["RaggedBatches", "pack", "streams", "unpad"]
