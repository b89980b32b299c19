"""What ends a session by itself: the window, person or grant that is gone, another address; who comes too late."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from deploy.demo.lab import PLANT
from deploy.demo.people import ADMIN, LIN, ZHAO
from deploy.demo.plant_api import text_of
from deploy.demo.terminal import Terminal
from tests.e2e.site.world import ADA, BEN, KELLER, NAME, PROMPT, SECONDS, World, answers, wait_until

pytestmark = pytest.mark.netns


def _both_legs_die(world: World, shell: Terminal, act: Callable[[], object]) -> float:
    """Seconds from the act until the client is gone and the target has no connection of the session any more."""
    started = time.monotonic()
    act()
    assert shell.wait(SECONDS) == 255
    here = time.monotonic() - started
    wait_until(lambda: not _connections(world), "the target's leg is gone")
    there = time.monotonic() - started
    print(f"the engineer's leg was dead after {here:.2f} s, the target's after {there:.2f} s")
    return max(here, there)


def _connections(world: World) -> str:
    return world.lab.run(PLANT, ["ss", "-Htn", "state", "established", "sport = :22"]).stdout


def test_a_cut_from_the_console_is_read_and_both_legs_die(world: World) -> None:
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        cut = f"/sessions/{text_of(session, 'id')}/cut"
        _both_legs_die(world, shell, lambda: world.console(ZHAO).post(cut, {"reason": "wrong machine"}))
        assert "wrong machine" in shell.screen
    assert world.closed(session)["end_reason"] == "cut"
    assert world.ssh(ADA, "true").returncode == 255, "its grant is gone with it"
    world.grant(ADA)
    world.sign_in(ADA)


def test_a_revoked_grant_ends_its_session_and_no_other(world: World) -> None:
    with world.shell(BEN) as ben:
        with world.shell(ADA) as shell:
            session = world.live(ADA)
            grant_id = text_of(session, "grant_id")
            world.revoke(grant_id)
            assert shell.wait(SECONDS) == 255
        assert world.closed(session)["end_reason"] == "grant_revoked"
        assert answers(ben, "untouched")
        ben.type("exit\n")
        ben.wait(SECONDS)
    world.grant(ADA)
    world.sign_in(ADA)


def test_the_windows_end_ends_a_session(world: World) -> None:
    world.revoke(text_of(_own_session(world), "grant_id"))
    world.sign_in(ADA)
    world.grant(ADA, seconds=25)
    try:
        with world.shell(ADA) as shell:
            session = world.live(ADA)
            shell.expect(r"access (time is over|has ended)", SECONDS)
            assert shell.wait(SECONDS) == 255
        assert world.closed(session)["end_reason"] in ("expired", "grant_expired")
        assert world.ssh(ADA, "true").returncode == 255
    finally:
        world.grant(ADA)
        world.sign_in(ADA)


def _own_session(world: World) -> dict[str, object]:
    """One short session, for what its record says."""
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        shell.type("exit\n")
        shell.wait(SECONDS)
    world.closed(session)
    return dict(session)


def test_a_session_that_goes_on_from_another_address_ends_and_comes_back_only_with_a_new_certificate(
    world: World,
) -> None:
    alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"]
    with world.start(ADA, ["ssh", *alive, NAME]) as shell:
        shell.expect(PROMPT, SECONDS)
        session = world.live(ADA)
        world.lab.move_away(ADA)
        world.lab.forget_flows()
        try:
            shell.type("echo moved-$((40+2))\n")
            assert shell.wait(SECONDS) == 255, "a flow that changes its address is nobody's"
            assert "moved-42" not in shell.screen
            # The certificate names the old address; knocking with it from the new one opens nothing.
            refused = world.ssh(ADA, "true")
            assert refused.returncode == 255
            world.sign_in(ADA)
            assert world.ssh(ADA, "true").returncode == 0, "signed in from there, it is that address"
        finally:
            world.lab.move_back()
            world.lab.forget_flows()
    assert text_of(world.closed(session), "end_reason")
    world.sign_in(ADA)
    assert world.ssh(ADA, "true").returncode == 0


def test_a_revocation_that_races_a_connection_leaves_no_session(world: World) -> None:
    for number in range(2):
        with world.start(ADA, ["ssh", NAME]) as shell:
            time.sleep(0.3 * number)
            for one in world.console(ZHAO).items("/grants"):
                if one.get("state") in ("issued", "active") and text_of(one, "person", "id") == _person(world):
                    world.revoke(text_of(one, "id"))
            assert shell.wait(SECONDS) == 255
        name = world.engineers[ADA].role.display_name
        wait_until(
            lambda name=name: all(text_of(one, "person", "display_name") != name for one in world.sessions("live")),
            "no session survives",
        )
        world.grant(ADA)
        world.sign_in(ADA)
    assert world.ssh(ADA, "true").returncode == 0


def _person(world: World) -> str:
    return next(text_of(one, "id") for one in world.console(LIN).items("/people") if one["username"] == ADA)


def test_a_suspended_persons_session_ends_and_they_are_out(world: World) -> None:
    """Keller's account: nobody brings it back."""
    keller = KELLER.username
    world.settle(keller)
    world.grant(keller)
    with world.shell(keller) as shell:
        session = world.live(keller)
        people = world.console(ADMIN).items("/people")
        person = next(text_of(one, "id") for one in people if one["username"] == keller)
        _both_legs_die(world, shell, lambda: world.console(ADMIN).post(f"/people/{person}/suspend"))
    assert world.closed(session)["end_reason"] == "person_suspended"
    assert world.ssh(keller, "true").returncode == 255
