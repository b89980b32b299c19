"""What the host's operator is told of the knock, over the real socket."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from broker.adapters.opener import OpenerStatus, OpenWindow
from broker.app import host_knock, knock_status
from broker.app.house import House
from broker.identities.testing import NOON
from broker.kernel.errors import Unavailable
from broker.knock_link.model import GuardStatus, LastRefusal, LinkHealth
from broker.knock_link.sources import SourceWatch
from spa_knock.link.framing import encode

KNOCK = "ab" * 12


class Opener:
    def __init__(self, told: OpenerStatus | None) -> None:
        self._told = told

    def status(self) -> OpenerStatus:
        if self._told is None:
            raise Unavailable("opener.no_answer", "The firewall writer does not answer (FileNotFoundError).")
        return self._told


WINDOWS = (OpenWindow(1, "203.0.113.7", 443, 6500, (KNOCK,)), OpenWindow(2, "203.0.113.8", 22, 900, ("cd" * 12,)))
TOLD = OpenerStatus(
    rules_are_whole=True,
    counters={"shed_length": 9, "knocks_to_socket": 12, "later_stage": 3},
    windows=WINDOWS,
    windows_total=2,
    ways=(),
    ways_total=4,
    revoked_total=0,
    used_nonces_total=12,
)


def a_house(told: OpenerStatus | None = TOLD) -> SimpleNamespace:
    refusal = LastRefusal("dev_2", "clock", 4, NOON, "203.0.113.9", None, 312.0)
    status = GuardStatus("armed", 7, {"accepted": 4, "refused_gate": 90}, (443, 62201), NOON, (refusal,))
    devices = {
        "dev_1": SimpleNamespace(name="laptop-1", person_id="psn_1"),
        "dev_2": SimpleNamespace(name="laptop-2", person_id="psn_1"),
    }
    sources = SourceWatch()
    sources.knocked("10.1.1.1", "dev_1", "vera", NOON)
    sources.knocked("10.1.1.1", "dev_2", "otto", NOON)
    known = {KNOCK: SimpleNamespace(device_id="dev_1")}
    return SimpleNamespace(
        clock=SimpleNamespace(now=lambda: NOON),
        knock_link=SimpleNamespace(health=lambda: LinkHealth(True, status, 7)),
        opener=Opener(told),
        sources=sources,
        knocks=SimpleNamespace(find=known.get),
        devices=SimpleNamespace(get=devices.__getitem__, owner_names=lambda _devices: {"psn_1": "Vera"}),
    )


@contextmanager
def serving(path: Path, build: Callable[[], dict[str, object]], uid: int) -> Iterator[None]:
    started, stop = threading.Event(), list[Callable[[], object]]()

    async def serve(sock: socket.socket) -> None:
        task = asyncio.ensure_future(knock_status.listener(build, uid).serve(sock))
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        started.set()
        await asyncio.gather(task, return_exceptions=True)

    with socket.socket(socket.AF_UNIX) as sock, capture_logs():
        sock.bind(str(path))
        sock.listen()
        thread = threading.Thread(target=lambda: asyncio.run(serve(sock)))
        thread.start()
        assert started.wait(5)
        try:
            yield
        finally:
            stop[0]()
            thread.join(5)


def test_the_operator_reads_state_causes_windows_and_shared_addresses(tmp_path: Path) -> None:
    house = a_house()
    with serving(tmp_path / "s", lambda: knock_status.built(house), os.getuid()):  # type: ignore[arg-type]
        found = host_knock.asked(tmp_path / "s")
    assert found is not None
    text = "\n".join(host_knock.lines(found))
    for words in (
        "armed, UDP 443, 62201",
        "4 accepted",
        "90 refused: not made with this site's gate key: junk [gate]",
        "9 of a wrong length",
        "3 later_stage",
        "2 windows, 4 ways",
        "door 1 for 203.0.113.7: laptop-1 of Vera (dev_1), 6.5 s left",
        "door 2 for 203.0.113.8: a knock that control does not know, 0.9 s left",
        "laptop-2 of Vera (dev_2) from 203.0.113.9, 4x",
        "the device's clock is 5 min ahead",
        "10.1.1.1: 2 devices, 0 strangers",
    ):
        assert words in text, words


def test_another_user_is_not_served(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "s", dict, os.getuid() + 1),
        pytest.raises(host_knock.HostKnockError, match="run this as root"),
    ):
        host_knock.asked(tmp_path / "s")


def test_an_unknown_verb_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "s", dict, os.getuid()), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "s"))
        sock.sendall(encode({"type": "open"}))
        assert b"unknown_verb" in sock.recv(1000)


def test_an_opener_that_does_not_answer_is_told() -> None:
    told = knock_status.built(a_house(None))  # type: ignore[arg-type]
    assert "opener    DOES NOT ANSWER: The firewall writer" in "\n".join(host_knock.lines(told))


def test_the_longest_status_fits_one_message() -> None:
    house = a_house(replace(TOLD, windows=(replace(WINDOWS[0], knock_ids=(KNOCK,) * 4),) * 128))
    house.devices.get("dev_1").name = "\u673a" * 80
    status = house.knock_link.health().status
    crowded = replace(
        status, refusals=status.refusals * 64, counters={f"refused_{n:02d}" + "x" * 40: n for n in range(99)}
    )
    house.knock_link.health = lambda: LinkHealth(True, crowded, 7)
    told = knock_status.built(house)  # type: ignore[arg-type]
    assert len(encode(told)) < 60_000


def test_a_new_site_has_a_status(house: House) -> None:
    told = knock_status.built(house)
    text = "\n".join(host_knock.lines(told))
    assert "not connected to control" in text
    assert "DOES NOT ANSWER" in text


def test_rules_that_are_not_ours_are_told_first() -> None:
    told = knock_status.built(a_house(replace(TOLD, rules_are_whole=False)))  # type: ignore[arg-type]
    assert "THE RULES ARE NOT OURS" in "\n".join(host_knock.lines(told))
