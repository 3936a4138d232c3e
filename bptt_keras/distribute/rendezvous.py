"""How processes meet before TensorFlow connects them.

TensorFlow waits for missing processes without an end, and does not notice two with one
index. So all first report to process 0, at the address that TensorFlow uses afterwards.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any, TypeAlias

from bptt_keras.distribute.addresses import Place
from bptt_keras.process_group import DistributeError

_LONGEST = 1 << 16  # bytes of a message
_PAUSE = 0.05  # seconds between two attempts


Peers: TypeAlias = dict[int, socket.socket]
"""The connections to other processes, by their index."""


def meet(
    place: Place, facts: dict[str, Any], timeout: float
) -> tuple[dict[str, Any], Peers]:
    """Waits until all processes are there and checks that they belong together.

    Args:
        place: The processes.
        facts: What must be the same in all, for JSON; the first process decides on
            values that are `None` elsewhere.
        timeout: Seconds.

    Returns:
        `(facts, peers)`: those of the first process; and connections that stay open,
        from the first process to all others and from each of them to it.

    Raises:
        DistributeError: Says which process is missing, there twice, or different.
    """
    until = time.monotonic() + timeout
    if place.index == 0:
        return _receive(place, facts, until, timeout)
    return _report(place, facts, until, timeout)


def _receive(
    place: Place, facts: dict[str, Any], until: float, timeout: float
) -> tuple[dict[str, Any], Peers]:
    peers: Peers = {}
    others: dict[int, Any] = {}
    told: list[socket.socket] = []
    problem = ""
    with _listening(place) as server:
        while len(peers) < len(place.addresses) - 1 and not problem:
            left = until - time.monotonic()
            if left <= 0:
                break
            server.settimeout(left)
            try:
                connection, _ = server.accept()
                connection.settimeout(max(0.1, min(left, 5.0)))
                message = _read(connection)
                index = int(message["index"])
                addresses, others[index] = message["addresses"], message["facts"]
            except (OSError, KeyError, TypeError, ValueError):
                continue  # Not one of ours, or it will try again.
            told.append(connection)
            if addresses != list(place.addresses):
                problem = f"Process {index} was given other addresses than process 0."
            elif index in peers or not 0 < index < len(place.addresses):
                problem = f"Two processes have the index {index}."
            peers[index] = connection
    missing = [i for i in range(1, len(place.addresses)) if i not in peers]
    if missing and not problem:
        named = ", ".join(f"{i} ({place.addresses[i]})" for i in missing)
        problem = (
            f"{len(missing)} of {len(place.addresses)} processes have not joined "
            f"within {timeout:g} s: {named}. Start all of them, with addresses that "
            f"reach them."
        )
    problem = problem or _difference(facts, others)
    for connection in told:
        _send(connection, {"problem": problem, "facts": facts})
    if problem:
        for connection in told:
            connection.close()
        raise DistributeError(problem)
    return facts, peers


def _difference(facts: dict[str, Any], others: dict[int, Any]) -> str:
    for index, other in sorted(others.items()):
        for name, value in facts.items():
            found = other.get(name)
            if found != value and not (found is None or value is None):
                return (
                    f"Process {index} does not fit process 0: `{name}` is {found!r} "
                    f"there, {value!r} here. Use the same everywhere."
                )
    return ""


def _listening(place: Place) -> socket.socket:
    host, port = _split(place.addresses[0])
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        # On all interfaces, as TensorFlow's server afterwards.
        server.bind(("", port))
        server.listen(len(place.addresses))
    except OSError as error:
        server.close()
        raise DistributeError(
            f"Process 0 cannot listen at {place.addresses[0]}: {error.strerror}. "
            f"Another program, or another process with index 0, uses the port: give "
            f"another one."
        ) from None
    return server


def _report(
    place: Place, facts: dict[str, Any], until: float, timeout: float
) -> tuple[dict[str, Any], Peers]:
    message = {
        "index": place.index,
        "addresses": list(place.addresses),
        "facts": facts,
    }
    first = f"Process 0 ({place.addresses[0]})"
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise DistributeError(
                f"{first} does not answer process {place.index} within {timeout:g} s. "
                f"Start it, with an address that reaches it."
            )
        try:
            connection = socket.create_connection(_split(place.addresses[0]), left)
            # Process 0 waits for the others as long as this one would.
            connection.settimeout(timeout + 5)
            _send(connection, message)
            answer = _read(connection)
        except socket.gaierror as error:
            raise DistributeError(
                f"The host of {first} is not known: {error.strerror}."
            ) from None
        except (OSError, ValueError):
            time.sleep(_PAUSE)
            continue
        if answer["problem"]:
            connection.close()
            raise DistributeError(answer["problem"])
        return answer["facts"], {0: connection}


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    # One that has ended shows when it is waited for.
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def _read(connection: socket.socket) -> dict[str, Any]:
    """One line of JSON."""
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(4096)
        if not part or len(received) > _LONGEST:
            raise ValueError("no message")
        received += part
    message = json.loads(received)
    if not isinstance(message, dict):
        raise ValueError("no message")
    return message


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
