"""A real session under a real gateway, in the browser: watched without a gap, held, spoken to, cut; a real test of a
connection. Stock ssh at one end, Debian's sshd at the other."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest
from playwright.sync_api import Locator, expect

from broker.audit import store as audit_store
from broker.grants.model import GrantState
from broker.sessions.model import SessionState
from tests.contract.live_site import LiveSite, a_target_machine, live_site
from tests.contract.ssh_rig import short_folder
from tests.e2e.web.conftest import Opener, Plant
from tests.e2e.web.console import Console
from tests.e2e.web.fake_house import build

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        os.getuid() != 0 or not shutil.which("ssh") or not Path("/usr/sbin/sshd").exists(),
        reason="needs root, ssh and sshd",
    ),
]


@pytest.fixture(scope="module")
def site() -> Iterator[LiveSite]:
    with short_folder() as folder, live_site(folder) as one:
        yield one


@pytest.fixture
def plant(site: LiveSite) -> Plant:
    return Plant(site.url, build())


def screen(console: Console) -> Locator:
    return console.page.get_by_role("region", name=console.text("sessions.screen"))


def lines(console: Console) -> list[str]:
    text = screen(console).locator(".xterm-rows").inner_text()
    return [line.strip() for line in text.replace("\xa0", " ").split("\n") if line.strip()]


def until(ready: Callable[[], bool], console: Console, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, lines(console)
        console.page.wait_for_timeout(50)


def codes(site: LiveSite) -> list[str]:
    with site.house.database.reading() as session:
        return [record.code for record in audit_store.walk(session)]


def test_an_admin_watches_holds_speaks_and_cuts(open_console: Opener, site: LiveSite, tmp_path: Path) -> None:
    with a_target_machine(site, tmp_path) as (port, host_key, login_key):
        target = site.target("weld-hmi-02", port, host_key, login_key)
        grant = site.grant(target)
        marker = tmp_path / "held"
        with site.terminal(grant) as shell:
            shell.see(rb"# $")
            shell.type(b"echo early-$((40+2))\r")
            shell.see(rb"early-42\r\n")

            console = open_console()
            console.sign_in("zhang", "/sessions")
            console.page.get_by_text(console.text("sessions.live"), exact=True).first.click()
            console.page.get_by_role("link", name=console.text("sessions.watch"), exact=True).click()
            expect(screen(console)).to_contain_text("early-42", timeout=20_000)
            expect(console.page.get_by_role("definition").get_by_text("Zhang", exact=True)).to_be_visible()

            shell.type(b"for i in 1 2 3 4 5 6; do echo now-$i; sleep 0.3; done\r")
            site.until(lambda: bool(site.house.watching._present))
            until(lambda: "now-2" in lines(console), console)
            for task in list(site.house.watching._running):  # the line breaks in the middle
                site._loop.call_soon_threadsafe(task.cancel)
            until(lambda: "now-6" in lines(console), console)
            shown = [line for line in lines(console) if line.startswith("now-")]
            assert shown == [f"now-{number}" for number in range(1, 7)]
            expect(
                console.page.get_by_role("status").get_by_text(console.text("sessions.interrupted.lost"))
            ).to_be_visible()

            console.button("sessions.freeze").click()
            dialog = console.page.get_by_role("dialog")
            dialog.get_by_label(console.text("app.reason")).fill("come to hall 3")
            dialog.get_by_role("button", name=console.text("sessions.freeze"), exact=True).click()
            shell.see(rb"The plant holds your input: come to hall 3")
            expect(
                console.page.locator(".standing").get_by_text(console.text("sessions.held"), exact=True)
            ).to_be_visible()
            shell.type(f"touch {marker}; echo typed-$((40+2))\r".encode())
            console.page.wait_for_timeout(1_000)
            assert not marker.exists()
            assert "typed-42" not in lines(console)
            console.button("sessions.thaw").click()
            dialog.get_by_role("button", name=console.text("sessions.thaw"), exact=True).click()
            shell.see(rb"typed-42\r\n")
            assert marker.exists()
            until(lambda: "typed-42" in lines(console), console)

            console.page.get_by_label(console.text("sessions.message")).fill("请停止 the pump")
            console.button("sessions.message_send").click()
            shell.see("Message from the plant: 请停止 the pump".encode())

            beats = tmp_path / "beats"
            shell.type(f"while sleep 0.05; do date +%s.%N >> {beats}; done\r".encode())
            until(beats.exists, console)
            console.button("sessions.cut").click()
            dialog.get_by_label(console.text("app.reason")).fill("smoke in hall 3")
            dialog.get_by_role("button", name=console.text("sessions.cut"), exact=True).click()
            shell.see(rb"ended by the plant: smoke in hall 3")
            assert shell.end() == 255
            console.sees("sessions.over")
            console.sees("sessions.end_reason.cut")
        size = beats.stat().st_size
        console.page.wait_for_timeout(500)
        assert beats.stat().st_size == size
    (view,) = site.house.sessions.sessions(limit=1)
    site.until(lambda: site.house.sessions.get(view.record.id).record.state is SessionState.CLOSED)
    assert site.house.grants.get(grant.id).grant.state is GrantState.REVOKED
    auditor = open_console()
    auditor.sign_in("audit", "/sessions")
    auditor.page.get_by_role("link", name="weld-hmi-02").click()
    auditor.page.get_by_role("link", name=auditor.text("sessions.replay")).click()
    auditor.sees("recordings.finding.verified")
    auditor.go("/set-up")
    for step in ("session", "replay"):
        item = auditor.page.get_by_role("listitem").filter(has_text=auditor.text(f"set_up.step.{step}"))
        expect(item.first).to_contain_text(auditor.text("set_up.state.done"))
    told = [code for code in codes(site) if code.startswith("sessions.session.")]
    for code in ("watched", "frozen", "thawed", "messaged", "watch_ended", "ended"):
        assert f"sessions.session.{code}" in told
    site.until(
        lambda: codes(site).count("sessions.session.watched") == codes(site).count("sessions.session.watch_ended")
    )


def test_a_connection_is_tested_from_the_console(open_console: Opener, site: LiveSite, tmp_path: Path) -> None:
    with a_target_machine(site, tmp_path) as (port, host_key, login_key):
        target = site.target("press-plc-01", port, host_key, login_key)
        pinned_wrong = site.target("swapped", port, asyncssh.generate_private_key("ssh-ed25519"), login_key)
        console = open_console()
        console.sign_in("sec", f"/targets/{target.id}")
        console.button("targets.test_now").click()
        console.sees("targets.key_matches")
        console.go(f"/targets/{pinned_wrong.id}")
        console.button("targets.test_now").click()
        console.sees("targets.key_differs")
    console.go(f"/targets/{target.id}")
    console.button("targets.test_now").click()
    console.sees("targets.outcome.refused")
