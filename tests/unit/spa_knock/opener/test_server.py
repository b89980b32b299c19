"""The opener's sockets: who is let in, and what ends a connection."""

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from spa_knock.link.framing import Decoder, encode
from spa_knock.opener.config import Peer, Uids
from spa_knock.opener.server import MAX_CONNECTIONS_PER_PEER, Server


def answer(peer: Peer, message: Mapping[str, object]) -> dict[str, object]:
    return {"type": "done", "peer": str(peer), "asked": message["type"]}


class Bench:
    """A server with three listeners; this process's user id is the guard's and nobody else's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listeners = {peer: socket.socket(socket.AF_UNIX) for peer in Peer}
        for peer, listener in self.listeners.items():
            listener.bind(str(folder / peer))
            listener.listen(32)
        own = os.getuid()
        uids = Uids(opener=own + 1, guard=own, gateway=own + 2, control=own + 3)
        self.server = Server(self.listeners, uids, answer)
        self.clients: list[socket.socket] = []

    def connect(self, peer: Peer = Peer.GUARD) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(2)
        client.connect(str(self.folder / peer))
        self.clients.append(client)
        self.turn()
        return client

    def turn(self) -> None:
        for _ in range(3):
            self.server.serve_once(timeout_seconds=0)

    def close(self) -> None:
        self.server.close()
        for sock in (*self.clients, *self.listeners.values()):
            sock.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_each_request_has_its_answer_in_order(bench: Bench) -> None:
    client = bench.connect()
    client.sendall(encode({"type": "one"}) + encode({"type": "two"}))
    bench.turn()
    answers = Decoder().feed(client.recv(65_536))
    assert [(reply["peer"], reply["asked"]) for reply in answers] == [("guard", "one"), ("guard", "two")]


def test_another_user_id_is_sent_away_unheard(bench: Bench) -> None:
    client = bench.connect(Peer.CONTROL)
    assert client.recv(1) == b""


def test_broken_framing_ends_the_connection_and_no_other(bench: Bench) -> None:
    broken, whole = bench.connect(), bench.connect()
    broken.sendall(b"\xff\xff\xff\xff")
    bench.turn()
    assert broken.recv(1) == b""
    whole.sendall(encode({"type": "one"}))
    bench.turn()
    assert whole.recv(100)


def test_a_peer_that_does_not_read_is_dropped_and_holds_up_nobody(bench: Bench) -> None:
    deaf = bench.connect()
    deaf.setblocking(False)
    request = encode({"type": "x" * 200})
    dropped = False
    for _ in range(5_000):
        try:
            deaf.send(request)
        except (BrokenPipeError, ConnectionResetError):
            dropped = True
            break
        except BlockingIOError:
            pass
        bench.turn()
    assert dropped
    polite = bench.connect()
    polite.sendall(encode({"type": "one"}))
    bench.turn()
    assert polite.recv(100)


def test_the_number_of_connections_is_bounded_and_freed_ones_count_no_more(bench: Bench) -> None:
    clients = [bench.connect() for _ in range(MAX_CONNECTIONS_PER_PEER + 1)]
    assert clients[-1].recv(1) == b""
    clients[0].close()
    bench.turn()
    fresh = bench.connect()
    fresh.sendall(encode({"type": "one"}))
    bench.turn()
    assert fresh.recv(100)
