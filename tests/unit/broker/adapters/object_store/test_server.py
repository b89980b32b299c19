import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.adapters.object_store.client import ArchiveClient
from broker.adapters.object_store.server import ArchiveServer
from broker.adapters.object_store.testing import ArchiveRig
from broker.adapters.object_store.wire import WireError, receive, send
from recorder.errors import StoreError


@pytest.fixture
def rig(tmp_path: Path) -> ArchiveRig:
    return ArchiveRig(tmp_path / "archive.sock")


@pytest.fixture
def client(rig: ArchiveRig) -> Iterator[ArchiveClient]:
    with rig.serving() as made:
        yield made


def ask(rig: ArchiveRig, message: dict[str, object]) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect(str(rig.path))
        send(sock, message)
        return dict(receive(sock).message)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "delete_everything"},
        {"type": "advance", "recording_id": "rec_x", "size": None, "attempt": 1},
        {"type": "read", "recording_id": "rec_x", "version": "v"},
        {"type": "find", "recording_id": "../../etc/passwd"},
        {"type": "verify", "recording_id": "rec_x", "version": "v", "size": 1},
        {"type": "sweep", "wanted": "all"},
        {"type": "sweep", "wanted": ["rec_x"] * 1001},
        {"type": "remove", "tombstone": "{}"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused_and_the_next_is_answered(
    rig: ArchiveRig, client: ArchiveClient, message: dict[str, object]
) -> None:
    assert ask(rig, message)["type"] == "refused"
    client.check()


def test_nobody_but_its_peers_is_answered(rig: ArchiveRig) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(rig.path))
        listener.listen()
        thread = threading.Thread(target=ArchiveServer(rig.archive(), listener, {os.getuid() + 1}).serve, daemon=True)
        thread.start()
        with pytest.raises(WireError):
            ask(rig, {"type": "check"})
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert rig.bucket.calls == []


def test_what_the_store_refuses_is_told_with_its_code(rig: ArchiveRig, client: ArchiveClient) -> None:
    rig.bucket.locks = False
    with pytest.raises(StoreError) as said:
        client.check()
    assert said.value.code == "no_lock"
