"""kill -9 of each process of a site with a session under way: what must close closes, what must live lives."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from broker.app.settings import load
from broker.sessions.events import ReportGap
from deploy.demo import netns
from deploy.demo.lab import BROKER, BROKER_VENDOR_ADDRESS, VENDOR
from deploy.demo.people import WU
from deploy.demo.plant_api import text_of
from deploy.demo.site import SSH_PORT, TLS_PORT
from tests.e2e.site.world import ADA, BEN, SECONDS, World, answers, set_up, wait_until

pytestmark = pytest.mark.netns

GAP = ReportGap.code


def _doors_are_shut(world: World) -> None:
    """No element of the opener is left, and the vendor's address reaches neither door."""

    def empty() -> bool:
        rules = world.lab.run(BROKER, ["nft", "list", "set", "inet", "sallyport", "open4"]).stdout
        return "elements" not in rules

    wait_until(empty, "the kernel closes what was opened")
    for port in (SSH_PORT, TLS_PORT):
        with pytest.raises(OSError):  # noqa: PT011 - silence or a refusal, whatever the kernel makes of it
            netns.connect(world.lab.namespace(VENDOR), BROKER_VENDOR_ADDRESS, port, 0.5).close()


def _ended_and_reconciled(world: World, session: dict[str, object], state: str) -> None:
    """A session's end is in the trail exactly once, its recording has its end, and the whole site verifies."""
    session_id = text_of(session, "id")
    assert len(world.events("sessions.session.ended", session_id)) == 1
    world.recording_is(session, state)
    assert world.events(GAP) == []
    world.trail_is_whole()


def test_a_session_outlives_a_killed_control_and_its_story_arrives_once(world: World) -> None:
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        dead = world.processes.kill("control")
        shell.type("for n in 1 2 3 4 5 6 7 8; do echo beat-$n; sleep 0.3; done\n")
        shell.expect("beat-8", SECONDS)
        shell.type("rm -rf /srv/data\n")
        shell.expect(r"blocked", SECONDS)
        world.processes.wait_for_another("control", dead)
        world.all_is_well()
        assert answers(shell, "after")
        shell.type("exit\n")
        shell.wait(SECONDS)
    closed = world.closed(session)
    assert closed["end_reason"] == "client_left"
    assert closed["commands_blocked"] == 1
    assert len(world.events("sessions.command.blocked", text_of(session, "id"))) == 1
    _ended_and_reconciled(world, dict(session), "sealed")


def test_without_control_a_session_freezes_at_its_autonomy_and_ends_at_twice_it(world: World) -> None:
    processes = world.processes
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        processes.keep_dead()
        try:
            processes.kill("control")
            died = time.monotonic()
            assert answers(shell, "alone")
            shell.expect("control is away", SECONDS)
            print(f"frozen {time.monotonic() - died:.1f} s after control died")
            shell.type("echo frozen-$((40+2))\n")
            assert world.lets_nobody_in(BEN), "nobody new comes in"
            shell.expect("away for too long", SECONDS)
            print(f"ended {time.monotonic() - died:.1f} s after control died")
            assert shell.wait(SECONDS) == 255
            assert "frozen-42" not in shell.screen
            _doors_are_shut(world)
        finally:
            processes.go_on()
        world.all_is_well()
    closed = world.closed(session)
    assert closed["end_reason"] == "autonomy"
    _ended_and_reconciled(world, dict(session), "sealed")


def test_root_cuts_with_control_dead_and_the_grant_is_gone_afterwards(world: World) -> None:
    processes = world.processes
    wait_until(lambda: not world.console(WU).items("/sessions?state=live"), "what ran before is over")
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        processes.keep_dead()
        try:
            processes.kill("control")
            done = world.sallyport("cut", text_of(session, "id"), "--reason", "smoke at the press")
            assert done.returncode == 0, done.stderr
            shell.expect("smoke at the press", SECONDS)
            assert shell.wait(SECONDS) == 255
            _doors_are_shut(world)
        finally:
            processes.go_on()
        world.all_is_well()
    assert world.closed(session)["end_reason"] == "cut"
    assert len(world.events("sessions.session.cut_on_host", text_of(session, "id"))) == 1
    wait_until(lambda: world.ssh(ADA, "true").returncode == 255, "the grant was taken back")
    _ended_and_reconciled(world, dict(session), "sealed")
    world.grant(ADA)
    world.sign_in(ADA)
    assert world.ssh(ADA, "true").returncode == 0


def test_a_session_that_must_be_watched_freezes_at_once_when_control_dies(world: World) -> None:
    processes = world.processes
    set_up(world.site.config, "limits", must_be_watched=True)
    try:
        processes.wait_for_another("control", processes.kill("control"))
        world.all_is_well()
        with world.start(ADA, ["ssh", "press-line-3.plant"]) as shell:
            shell.expect("held until somebody", SECONDS)
            session = world.live(ADA)
            with world.watching(text_of(session, "id")):
                shell.expect("The session goes on", SECONDS)
                assert answers(shell, "watched")
                processes.keep_dead()
                try:
                    processes.kill("control")
                    died = time.monotonic()
                    shell.expect("The session is held|Your input is held", SECONDS)
                    print(f"a watched session froze {time.monotonic() - died:.2f} s after control died")
                    shell.type("echo unseen-$((40+2))\n")
                    time.sleep(1.0)
                    assert "unseen-42" not in shell.screen
                finally:
                    processes.go_on()
            world.all_is_well()
            with world.watching(text_of(session, "id")):
                shell.expect("unseen-42", SECONDS)
            shell.type("\x03exit\n")
    finally:
        set_up(world.site.config, "limits", must_be_watched=False)
        processes.wait_for_another("control", processes.kill("control"))
        world.all_is_well()
    assert world.ssh(ADA, "true").returncode == 0


@pytest.mark.parametrize("name", ["guard", "opener"])
def test_a_session_outlives(world: World, name: str) -> None:
    processes = world.processes
    with world.shell(ADA) as shell:
        processes.keep_dead()
        try:
            dead = processes.kill(name)
            assert answers(shell, "alive")
            assert world.lets_nobody_in(BEN), f"nobody new comes in without {name}"
            _doors_are_shut(world)
            assert answers(shell, "still")
        finally:
            processes.go_on()
        processes.wait_for_another(name, dead)
        world.all_is_well()
        wait_until(lambda: world.ssh(BEN, "true").returncode == 0, "everybody can come in again")
        assert answers(shell, "and-now")
        shell.type("exit\n")
        shell.wait(SECONDS)


def test_a_killed_gateway_ends_its_sessions_and_tells_of_them_at_its_next_start(world: World) -> None:
    processes = world.processes
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        dead = processes.kill("gateway")
        assert shell.wait(SECONDS) == 255
        processes.wait_for_another("gateway", dead)
    closed = world.closed(session)
    assert closed["end_reason"] == "gateway_crashed"
    world.all_is_well()
    _ended_and_reconciled(world, dict(session), "broken")
    assert world.sessions("live") == []
    wait_until(lambda: world.ssh(ADA, "true").returncode == 0, "everybody can come in again")


def test_a_hanging_control_counts_as_gone(world: World) -> None:
    control = world.processes.pid("control")
    assert control is not None
    with world.shell(ADA) as shell:
        os.kill(control, signal.SIGSTOP)
        try:
            shell.expect("control is away", SECONDS)
        finally:
            os.kill(control, signal.SIGCONT)
        shell.expect("The session goes on", SECONDS)
        assert answers(shell, "back")
        shell.type("exit\n")
        shell.wait(SECONDS)


def test_a_number_that_is_missing_from_the_spool_alarms(world: World) -> None:
    """After those that want no gap in the trail."""
    processes = world.processes
    spool = Path(load(world.site.config).site.state_dir) / "gateway" / "spool.jsonl"
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        processes.keep_dead()
        try:
            processes.kill("control")
            for number in range(2):
                shell.type("rm -rf /srv/data\n")
                shell.expect("blocked", SECONDS)
                assert answers(shell, f"after-{number}")
            gateway = processes.kill("gateway")
            assert shell.wait(SECONDS) == 255
            wait_until(lambda: processes.pid("gateway") != gateway or _is_dead(gateway), "the gateway is dead")
            lines = spool.read_text().splitlines(keepends=True)
            ours = [line for line in lines if "command.blocked" in line and text_of(session, "id") in line]
            first = ours[0]
            spool.write_text("".join(line for line in lines if line is not first))
        finally:
            processes.go_on()
            world.all_is_well()
    (gap,) = wait_until(lambda: world.events(GAP), "the gap is told")
    assert gap["params"]["got_seq"] == gap["params"]["expected_seq"] + 1  # type: ignore[index]
    blocked = wait_until(lambda: world.events("sessions.command.blocked", text_of(session, "id")), "the other is told")
    assert len(blocked) == 1
    wait_until(lambda: world.ssh(ADA, "true").returncode == 0, "everybody can come in again")


def _is_dead(pid: int) -> bool:
    """Also as a zombie that its stopped supervisor has not buried."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_the_death_of_the_supervisor_ends_nothing(world: World) -> None:
    """Last: the site is started again afterwards."""
    with world.shell(ADA) as shell:
        os.kill(world.processes.supervisor, signal.SIGKILL)
        assert answers(shell, "without")
        assert world.ssh(BEN, "true").returncode == 0, "the four serve on"
        session = world.live(ADA)
        shell.type("exit\n")
        shell.wait(SECONDS)
        assert world.closed(session)["end_reason"] == "client_left"
    world.start_again()
    assert world.ssh(ADA, "true").returncode == 0
    world.trail_is_whole()
