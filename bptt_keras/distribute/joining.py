"""`initialize`: makes this process one of several that train together."""

from __future__ import annotations

import platform
import random
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.arguments import real
from bptt_keras.distribute.addresses import Place, find_place
from bptt_keras.distribute.fits import begin_fit
from bptt_keras.distribute.liveness import Liveness
from bptt_keras.distribute.rendezvous import meet
from bptt_keras.process_group import DistributeError, ProcessGroup, current, join
from bptt_keras.tensorflow_internals import has_computed

_DTYPES = ("float32", "bfloat16")
_LATE = (
    "TensorFlow has computed something before the processes were connected. Call "
    "`bptt_keras.distribute.initialize()` first: after the imports, and before models, "
    "data, tensors and seeds are made."
)
# TensorFlow ends a process whose strategy is collected.
_kept: list[Any] = []


def initialize(
    addresses: Sequence[str] | None = None,
    index: int | None = None,
    *,
    timeout: float = 60.0,
    gradient_dtype: str = "float32",
    seed: int | None = None,
) -> None:
    """Makes this process one of several that train together.

    Every process runs the same program. `fit` and `evaluate` of a `TruncatedBPTT` then
    take the same data in all of them, the batches of one process; each trains on its
    own rows of every batch, with its own state. Gradients are summed, weighted by valid
    timesteps, before they are clipped, so weights, loss, metrics and logs are those of
    one process with the whole batch.

    Only the first process writes: of Keras' callbacks that write files, and of progress
    bars, there is one. `predict` and everything else run in each process alone.

    Without arguments, the processes are those of `TF_CONFIG`, or of the job step of
    SLURM; if neither is there, the program is a single process and nothing changes.

    Args:
        addresses: `host:port` of every process, in the same order everywhere.
        index: The place of this process among them.
        timeout: Seconds after which a process that does not answer counts as lost,
            when processes join and in every step. Compilation, a save and callbacks
            must be faster.
        gradient_dtype: How gradients travel: `"float32"`, or `"bfloat16"`: half as
            many bytes, with 8 bits of precision.
        seed: Seed of all random numbers (`keras.utils.set_random_seed`), so that all
            processes draw the same orders and initial weights. Default (`None`): the
            first process draws one.

    Raises:
        RuntimeError: If something has been computed before, or it is called twice.
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or the environment does not say which
            processes there are.
        DistributeError: If processes are missing, there twice, or run other versions.

    Example:
        import bptt_keras as bk

        bk.distribute.initialize()
        assert bk.distribute.is_first() and bk.distribute.process_count() == 1

    Source: Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel
    Training" (2020).
    """
    timeout = real("timeout", timeout, above=0)
    if gradient_dtype not in _DTYPES:
        raise ValueError(
            f"`gradient_dtype` must be one of {_DTYPES}. Received: {gradient_dtype!r}."
        )
    place = find_place(addresses, index)
    if current() is not None:
        raise RuntimeError(
            "`bptt_keras.distribute.initialize` was called before. Call it once, at "
            "the start of the program."
        )
    if len(place.addresses) < 2:
        if seed is not None:
            keras.utils.set_random_seed(seed)
        return
    if has_computed():
        raise RuntimeError(_LATE)
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "timeout": timeout,
        "gradient_dtype": gradient_dtype,
        "seed": seed,
    }
    if place.index == 0 and seed is None:
        facts["seed"] = random.SystemRandom().randrange(2**31)
    decided, peers = meet(place, facts, timeout)
    _connect(place)
    keras.utils.set_random_seed(decided["seed"])
    group = ProcessGroup(
        place.addresses,
        place.index,
        timeout=timeout,
        gradient_dtype=gradient_dtype,
        begin_fit=begin_fit,
    )
    join(group)
    _kept.append(Liveness(group, peers))


def process_count() -> int:
    """Number of processes that train together; 1 without `initialize`.

    Example:
        import bptt_keras as bk

        assert bk.distribute.process_count() >= 1
    """
    group = current()
    return 1 if group is None else group.count


def process_index() -> int:
    """The place of this process among those that train together, from 0.

    Example:
        import bptt_keras as bk

        assert 0 <= bk.distribute.process_index() < bk.distribute.process_count()
    """
    group = current()
    return 0 if group is None else group.index


def is_first() -> bool:
    """Whether this is the process that prints and writes files.

    Example:
        import bptt_keras as bk

        if bk.distribute.is_first():
            print("trained")
    """
    return process_index() == 0


def _connect(place: Place) -> None:
    """Starts TensorFlow's own connections between the processes."""
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(place.addresses)}),
        task_type="worker",
        task_id=place.index,
        rpc_layer="grpc",
    )
    try:
        _kept.append(
            tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        )
    except RuntimeError as error:
        if "startup" not in str(error):
            raise
        raise RuntimeError(_LATE) from None
    except tf.errors.OpError as error:
        words = str(error).splitlines()[0]
        raise DistributeError(
            f"TensorFlow cannot connect the processes: {words}."
        ) from None
