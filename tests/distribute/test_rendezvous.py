"""How processes meet: who is missing, there twice, or different."""

import socket
import threading

import pytest

from bptt_keras.distribute.addresses import Place
from bptt_keras.distribute.launching import _free_ports
from bptt_keras.distribute.rendezvous import meet
from bptt_keras.process_group import DistributeError

FACTS = {"keras": "3", "seed": None}


def meet_all(facts, *, indices=None, timeout=5.0, addresses=None):
    """What each process is told, or the error that it raises, one in each thread."""
    count = len(facts)
    addresses = addresses or [f"localhost:{port}" for port in _free_ports(count)]
    indices = indices or range(count)
    found = {}

    def one(number, index, known):
        place = Place(tuple(addresses), index)
        try:
            found[number], peers = meet(place, known, timeout)
            for connection in peers.values():
                connection.close()
        except DistributeError as error:
            found[number] = str(error)

    threads = [
        threading.Thread(target=one, args=(number, index, known))
        for number, (index, known) in enumerate(zip(indices, facts, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(count)]


def test_all_are_told_what_the_first_decides():
    first = {**FACTS, "seed": 7}
    assert meet_all([first, FACTS, FACTS]) == [first, first, first]


def test_a_difference_is_named_in_all():
    told = meet_all([FACTS, FACTS, {**FACTS, "keras": "4"}])
    assert all("Process 2 does not fit" in words for words in told)
    assert all("`keras` is '4' there, '3' here" in words for words in told)


def test_two_with_one_index_are_refused_in_all():
    told = meet_all([FACTS] * 3, indices=[0, 1, 1])
    assert all("Two processes have the index 1" in words for words in told)


def test_one_that_is_missing_is_named():
    addresses = [f"localhost:{port}" for port in _free_ports(3)]
    told = meet_all([FACTS] * 2, indices=[0, 2], timeout=0.5, addresses=addresses)
    assert all(f"1 ({addresses[1]})" in words for words in told)
    assert all("1 of 3 processes have not joined within 0.5 s" in t for t in told)


def test_a_first_process_that_is_missing_is_named():
    addresses = [f"localhost:{port}" for port in _free_ports(2)]
    (told,) = meet_all([FACTS], indices=[1], timeout=0.3, addresses=addresses)
    assert f"Process 0 ({addresses[0]}) does not answer process 1" in told


def test_a_host_that_is_not_known_is_named():
    (told,) = meet_all(
        [FACTS], indices=[1], timeout=0.5, addresses=["no-such-host.invalid:1", "b:2"]
    )
    assert "is not known" in told or "does not answer" in told


def test_a_port_that_is_used_is_named():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        (told,) = meet_all(
            [FACTS], indices=[0], addresses=[f"localhost:{port}", "localhost:1"]
        )
    assert f"cannot listen at localhost:{port}" in told


@pytest.mark.parametrize("noise", [b"", b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b"{}\n"])
def test_others_that_connect_are_passed_over(noise):
    port = _free_ports(1)[0]

    def disturb():
        while not ended.is_set():
            try:
                with socket.create_connection(("localhost", port), 1) as connection:
                    connection.sendall(noise)
                return
            except OSError:
                ended.wait(0.01)

    ended = threading.Event()
    thread = threading.Thread(target=disturb)
    thread.start()
    addresses = [f"localhost:{port}", "localhost:1"]
    assert meet_all([FACTS, FACTS], addresses=addresses) == [FACTS, FACTS]
    ended.set()
    thread.join()
