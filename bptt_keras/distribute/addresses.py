"""Which processes train together: given, from `TF_CONFIG`, or from SLURM."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence

import tensorflow as tf

from bptt_keras.arguments import is_whole

_PORT = 8476  # of the first process that SLURM starts on a host


@dataclasses.dataclass(frozen=True)
class Place:
    """The processes, and which of them this is.

    Args:
        addresses: `host:port` of each.
        index: The place of this one.
    """

    addresses: tuple[str, ...]
    index: int


def find_place(
    addresses: Sequence[str] | None,
    index: int | None,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """The processes that train together.

    Args:
        addresses: `host:port` of each, or `None`: as the environment says.
        index: The place of this process, or `None` likewise.
        environment: Environment variables.

    Returns:
        The `Place`; without anything that says otherwise, that of a single process.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or the environment cannot be read.
    """
    if (addresses is None) != (index is None):
        raise ValueError(
            f"`addresses` and `index` belong together. Received: "
            f"addresses={addresses!r}, index={index!r}."
        )
    if addresses is not None and index is not None:
        return _checked(addresses, index, "")
    if environment.get("TF_CONFIG"):
        return _of_tensorflow(environment["TF_CONFIG"])
    if "SLURM_STEP_NODELIST" in environment and "SLURM_PROCID" in environment:
        return _of_slurm()
    return Place((), 0)


def _of_tensorflow(text: str) -> Place:
    try:
        known = json.loads(text)
        cluster, task = known["cluster"], known["task"]
        kinds = [kind for kind in ("chief", "worker") if kind in cluster]
        addresses = [address for kind in kinds for address in cluster[kind]]
        before = 0 if task["type"] == kinds[0] else len(cluster["chief"])
        if task["type"] not in kinds or set(cluster) - {"chief", "worker", "evaluator"}:
            raise ValueError(f"a task of type {task['type']!r:.50}")
        index = int(task["index"]) + before
        if not 0 <= int(task["index"]) < len(cluster[task["type"]]):
            raise ValueError(f"task {task['index']} of type {task['type']!r:.50}")
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"`TF_CONFIG` does not say which processes train together: "
            f"{type(error).__name__}: {error}. It needs "
            '{"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}.'
        ) from None
    return _checked(addresses, index, " in `TF_CONFIG`")


def _of_slurm() -> Place:
    try:
        # Which GPU a process has is SLURM's choice: these are made up.
        tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=_PORT, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        cluster = resolver.cluster_spec()
        (job,) = cluster.jobs
        addresses = [
            cluster.task_address(job, task) for task in cluster.task_indices(job)
        ]
        index = int(os.environ["SLURM_PROCID"])
    except Exception as error:
        raise ValueError(
            f"The variables of SLURM do not say which processes train together: "
            f"{type(error).__name__}: {error}. Start the program with `srun`, or set "
            f"`TF_CONFIG`."
        ) from error
    return _checked(addresses, index, " from SLURM")


def _checked(addresses: Sequence[str], index: int, where: str) -> Place:
    if isinstance(addresses, str) or not all(isinstance(a, str) for a in addresses):
        raise TypeError(
            f"`addresses` must be a list of 'host:port'. Received{where}: "
            f"{addresses!r}."
        )
    if not is_whole(index):
        raise TypeError(f"`index` must be an integer. Received{where}: {index!r}.")
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 2**16:
            raise ValueError(
                f"An address must be 'host:port'. Received{where}: {address!r}."
            )
    if not addresses or len(set(addresses)) < len(addresses):
        raise ValueError(
            f"Each process needs an address of its own. Received{where}: "
            f"{list(addresses)}."
        )
    if not 0 <= index < len(addresses):
        raise ValueError(
            f"`index` must be from 0 to {len(addresses) - 1}, for {len(addresses)} "
            f"addresses. Received{where}: {index}."
        )
    return Place(tuple(addresses), int(index))
