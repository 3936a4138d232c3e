"""Notices at once that a process has ended.

TensorFlow notices it only where one process is just sending to another. So the
connections over which the processes met stay open: the end of a process closes its own,
and the first process tells the others.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

from bptt_keras.distribute.rendezvous import Peers
from bptt_keras.process_group import ProcessGroup


class Liveness:
    """Watches connections to other processes in the background.

    Args:
        group: The processes; it is told which of them has ended.
        peers: Connections: of the first process to all others, of these to the first.
    """

    def __init__(self, group: ProcessGroup, peers: Peers):
        self._group = group
        self._peers = peers
        for connection in peers.values():
            connection.setblocking(False)
            # A host that is gone closes nothing.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        thread = threading.Thread(target=self._watch, name="bptt_keras-liveness")
        thread.daemon = True
        thread.start()

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for index, connection in self._peers.items():
                selector.register(connection, selectors.EVENT_READ, index)
            while selector.get_map():
                for key, _ in selector.select():
                    connection = self._peers[key.data]
                    lost = _lost(connection, key.data)
                    if lost is None:
                        continue
                    selector.unregister(connection)
                    self._tell(lost)
                    self._group.lose(lost)

    def _tell(self, lost: int) -> None:
        """Tells the others, if this is the first process."""
        if self._group.is_first:
            for index, connection in self._peers.items():
                if index != lost:
                    with contextlib.suppress(OSError):
                        connection.sendall(f"{lost}\n".encode())


def _lost(connection: socket.socket, index: int) -> int | None:
    """Which process has ended, or `None`, by what a connection of process `index` says.

    The first process sends the index of another one that has ended.
    """
    try:
        received = connection.recv(64)
    except BlockingIOError:
        return None
    except OSError:
        return index
    first = received.split(b"\n")[0]
    return int(first) if first.isdigit() else index
