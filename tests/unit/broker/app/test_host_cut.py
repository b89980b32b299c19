"""The command's side of the gateway's cut socket, against the real listener in a thread."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.app import host_cut
from broker.gateway.local_cut import LocalCut


class Sessions:
    def __init__(self, count: int) -> None:
        self.ids = [f"ses_{number}" for number in range(count)]
        self.operators: list[str] = []

    def shown(self) -> Sequence[Mapping[str, str | int]]:
        return [{"session_id": one, "person": "Vera", "target": "plc-3"} for one in self.ids]

    def cut_here(self, session_ids: Sequence[str], reason: str, operator: str) -> list[str]:
        self.operators.append(operator)
        return [one for one in session_ids if one in self.ids]


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(150)


@pytest.fixture
def path(tmp_path: Path, sessions: Sessions) -> Iterator[Path]:
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []
    started = threading.Event()

    async def serve(sock: socket.socket) -> None:
        task = asyncio.ensure_future(LocalCut(sessions).listener(os.getuid()).serve(sock))
        stop.append((asyncio.get_running_loop(), task))
        started.set()
        await asyncio.gather(task, return_exceptions=True)

    with socket.socket(socket.AF_UNIX) as sock, capture_logs():
        sock.bind(str(tmp_path / "cut.sock"))
        sock.listen()
        thread = threading.Thread(target=lambda: asyncio.run(serve(sock)))
        thread.start()
        started.wait(5)
        yield tmp_path / "cut.sock"
        stop[0][0].call_soon_threadsafe(stop[0][1].cancel)
        thread.join(5)


def test_every_session_is_listed(path: Path) -> None:
    listed = host_cut.running(path)
    assert [one.session_id for one in listed] == [f"ses_{number}" for number in range(150)]
    assert (listed[0].person, listed[0].target, listed[0].account) == ("Vera", "plc-3", "")


def test_one_or_all_are_cut_in_the_name_of_who_called_sudo(
    path: Path, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "li")
    assert host_cut.cut(path, "ses_7", "smoke") == ["ses_7"]
    assert len(host_cut.cut(path, None, "smoke")) == 150
    assert sessions.operators == ["li", "li"]


def test_a_refusal_is_told_in_the_gateways_words(path: Path) -> None:
    with pytest.raises(host_cut.HostCutError, match="No such session runs here"):
        host_cut.cut(path, "ses_none", "smoke")


def test_a_gateway_that_is_not_there_comes_with_advice(tmp_path: Path) -> None:
    with pytest.raises(host_cut.HostCutError, match="stop its process"):
        host_cut.running(tmp_path / "absent.sock")
