"""Two vendors' whole clients behind one address, and a neighbour who has nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest

from deploy.demo import netns
from deploy.demo.lab import BROKER, BROKER_VENDOR_ADDRESS, VENDOR, VENDOR_ADDRESS
from deploy.demo.people import LIN
from deploy.demo.site import SSH_PORT, TLS_PORT
from spa_knock.client.confirming import FIRST_SECONDS
from tests.e2e.site.street import StreetLab
from tests.e2e.site.world import ADA, BEN, NAME, PROMPT, SECONDS, World, answers, wait_until

pytestmark = pytest.mark.netns


class Neighbour:
    """Connects to both doors again and again from the shared address; counts handshakes, keeps every byte it gets."""

    def __init__(self, lab: StreetLab) -> None:
        self._namespace = lab.namespace(VENDOR)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._try, args=(port,)) for port in (SSH_PORT, TLS_PORT) * 2]
        self.handshakes = 0
        self.got = b""

    def __enter__(self) -> Neighbour:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(SECONDS)

    def _try(self, port: int) -> None:
        netns.enter(self._namespace)
        while not self._over.is_set():
            with contextlib.suppress(OSError), socket.socket() as one:
                one.settimeout(0.3)
                one.connect((BROKER_VENDOR_ADDRESS, port))
                self.handshakes += 1
                one.settimeout(1.0)
                if port == SSH_PORT:
                    one.sendall(b"SSH-2.0-neighbour\r\n" + bytes(64))
                self.got += one.recv(4096)
            time.sleep(0.01)


def open_doors(world: World) -> list[str]:
    """The elements of the kernel's sets of open windows."""
    elements = []
    for name in ("open4", "open6"):
        argv = ["nft", "-j", "list", "set", "inet", "sallyport", name]
        (found,) = [one["set"] for one in json.loads(world.lab.run(BROKER, argv).stdout)["nftables"] if "set" in one]
        elements += [str(element) for element in found.get("elem", [])]
    return elements


def test_two_vendors_behind_one_address_work_and_a_neighbour_gets_no_byte(world: World) -> None:
    with (
        Neighbour(world.lab) as neighbour,
        world.start(ADA, ["ssh", NAME]) as ada,
        world.start(BEN, ["ssh", NAME]) as ben,
    ):
        for shell in (ada, ben):
            shell.expect(PROMPT, SECONDS)
        assert answers(ada, "ada")
        assert answers(ben, "ben")
        sources = {str(one["source"]) for one in world.sessions("live")}
        assert sources == {VENDOR_ADDRESS}, "both come from one address"
        for shell in (ada, ben):
            shell.type("exit\n")
            shell.wait()
    assert neighbour.got == b""
    assert world.ssh(ADA, "true").returncode == 0


def test_an_open_window_gives_a_neighbour_a_handshake_and_nothing_more(world: World) -> None:
    with Neighbour(world.lab) as neighbour:
        deadline = time.monotonic() + SECONDS
        while not neighbour.handshakes:
            assert time.monotonic() < deadline
            assert world.ssh(ADA, "true").returncode == 0  # each knock opens the window for the shared address
    assert neighbour.handshakes
    assert neighbour.got == b""
    refused = world.events("gateway.connection.refused")
    assert {one["params"]["source"] for one in refused} >= {VENDOR_ADDRESS}  # type: ignore[index]


def test_revoking_one_device_ends_its_session_and_leaves_the_neighbours(world: World) -> None:
    device_id = world.device_of(ADA)
    lin = world.console(LIN)
    with world.shell(BEN) as ben, world.shell(ADA) as ada:
        session = world.live(ADA)
        started = time.monotonic()
        lin.post(f"/devices/{device_id}/suspend")
        assert ada.wait(SECONDS) == 255
        print(f"a suspended device's session was dead after {time.monotonic() - started:.2f} s")
        assert world.closed(session)["end_reason"] == "device_not_trusted"
        assert answers(ben, "still-here")
        assert world.ssh(ADA, "true").returncode == 255
        assert answers(ben, "and-here")
        lin.post(f"/devices/{device_id}/resume")
        ben.type("exit\n")
        ben.wait()


def stay_shut(world: World, seconds: float) -> bool:
    """Whether no window opens for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if open_doors(world):
            return False
        time.sleep(0.1)
    return True


def test_while_a_session_runs_its_window_is_shut_for_the_neighbour(world: World) -> None:
    with world.shell(ADA) as ada:
        # Its agent knocks once more, for the heads of the session's recording, and then stays connected.
        wait_until(lambda: stay_shut(world, FIRST_SECONDS + 1), "the windows of a session that is up stay shut")
        with Neighbour(world.lab) as neighbour:
            time.sleep(2.0)
        assert neighbour.handshakes == 0
        assert answers(ada, "still-here")
        ada.type("exit\n")
        ada.wait()


def test_a_suspended_device_stays_out_after_the_death_of_every_process(world: World) -> None:
    lin, device_id = world.console(LIN), world.device_of(ADA)
    world.sign_in(BEN)  # a quarter of an hour without a question of his agent's, and he would be out
    assert world.ssh(ADA, "true").returncode == 0
    lin.post(f"/devices/{device_id}/suspend")
    try:
        for names in (("guard", "opener"), ("gateway", "control")):
            for name in names:
                world.processes.wait_for_another(name, world.processes.kill(name))
            world.all_is_well()
            assert world.lets_nobody_in(ADA), f"after the death of {names}"
            assert world.ssh(BEN, "true").returncode == 0
    finally:
        lin.post(f"/devices/{device_id}/resume")
    wait_until(lambda: world.ssh(ADA, "true").returncode == 0, "who is let in again comes in")
