"""How processes meet before TensorFlow connects them.

TensorFlow waits for missing processes without an end, and does not notice two with one
index. So all first report to process 0, at the address that TensorFlow uses afterwards.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any

from bptt_keras.distribute.addresses import Place
from bptt_keras.process_group import DistributeError

_LONGEST = 1 << 16  # bytes of a message
_PAUSE = 0.05  # seconds between two attempts


def meet(place: Place, facts: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Waits until all processes are there and checks that they belong together.

    Args:
        place: The processes.
        facts: What must be the same in all, for JSON; the first process decides on
            values that are `None` elsewhere.
        timeout: Seconds.

    Returns:
        The facts of the first process.

    Raises:
        DistributeError: Says which process is missing, there twice, or different.
    """
    until = time.monotonic() + timeout
    if place.index == 0:
        return _receive(place, facts, until, timeout)
    return _report(place, facts, until, timeout)


def _receive(
    place: Place, facts: dict[str, Any], until: float, timeout: float
) -> dict[str, Any]:
    joined: dict[int, tuple[socket.socket, Any]] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(place))
        problem = ""
        while len(joined) < len(place.addresses) - 1 and not problem:
            left = until - time.monotonic()
            if left <= 0:
                break
            server.settimeout(left)
            try:
                connection = stack.enter_context(server.accept()[0])
                connection.settimeout(max(0.1, min(left, 5.0)))
                message = _read(connection)
                index = message["index"]
                if message["addresses"] != list(place.addresses):
                    problem = f"Process {index} was given other addresses."
                elif index in joined or not 0 < index < len(place.addresses):
                    problem = f"Two processes have the index {index}."
                # Who asks twice is told, too.
                joined[-1 - len(joined) if index in joined else index] = (
                    connection,
                    message["facts"],
                )
            except (OSError, KeyError, TypeError, ValueError):
                continue  # Not one of ours, or it will try again.
        missing = [
            i for i in range(1, len(place.addresses)) if i not in joined and not problem
        ]
        if missing:
            named = ", ".join(f"{i} ({place.addresses[i]})" for i in missing)
            problem = (
                f"{len(missing)} of {len(place.addresses)} processes have not joined "
                f"within {timeout:g} s: {named}. Start all of them, with addresses "
                f"that reach them."
            )
        problem = problem or _difference(facts, {i: f for i, (_, f) in joined.items()})
        answer = {"problem": problem, "facts": facts}
        for connection, _ in joined.values():
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")
    if problem:
        raise DistributeError(problem)
    return facts


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
) -> dict[str, Any]:
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
            with socket.create_connection(_split(place.addresses[0]), left) as connection:
                connection.sendall(json.dumps(message).encode() + b"\n")
                # Process 0 waits for the others as long as this one would.
                connection.settimeout(timeout + 5)
                answer = _read(connection)
        except socket.gaierror as error:
            raise DistributeError(
                f"The host of {first} is not known: {error.strerror}."
            ) from None
        except (OSError, ValueError):
            time.sleep(_PAUSE)
            continue
        if answer["problem"]:
            raise DistributeError(answer["problem"])
        return answer["facts"]


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
