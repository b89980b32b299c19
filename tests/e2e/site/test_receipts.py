"""Both sides keep a receipt of a session: stock ssh, the client's own agent, and a recording that somebody rewrote."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.demo.plant_api import Json, text_of
from deploy.demo.target import HOSTNAME
from tests.e2e.site.world import ADA, SECONDS, World, answers, wait_until

pytestmark = pytest.mark.netns

_AGENT = "spa_knock.client.agent"


def _sally(world: World, *words: str) -> tuple[int, Json]:
    done = world.desks[ADA].run(["sally", *words, "--json"])
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _receipt(world: World, session: Json) -> Json | None:
    """The session's receipt, as the client lists it."""
    _, listed = _sally(world, "receipts", "list")
    items: Sequence[Json] = listed["items"]
    return next((one for one in items if one["session_id"] == session["id"]), None)


def _given(world: World, session: Json) -> Json:
    """The same, once the plant has it."""

    def look() -> Json | None:
        found = _receipt(world, session)
        return found if found is not None and found["plant"] else None

    return wait_until(look, f"the receipt of {session['id']}")


def _agent_of(world: World) -> int:
    """The process id of Ada's agent."""
    uid = world.desks[ADA].account.uid
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            # It cannot be looked into, so its folder is root's: the status still says whose it is.
            owner = next(one for one in (folder / "status").read_text().splitlines() if one.startswith("Uid:"))
        except OSError:
            continue
        if _AGENT.encode() in words and int(owner.split()[1]) == uid:
            return int(folder.name)
    raise AssertionError("no agent runs")


def _recording(world: World, session: Json, name: str) -> Path:
    """A copy of the plant's file in Ada's home, as an auditor would hand it out."""
    recording_id = text_of(session, "recording_id")
    (found,) = world.site.state_dir.glob(f"**/{recording_id}.sallyrec")
    copy = world.desks[ADA].home / name
    copy.write_bytes(found.read_bytes())
    os.chown(copy, world.desks[ADA].account.uid, world.desks[ADA].account.uid)
    return copy


def test_a_session_leaves_a_receipt_with_both_sides_and_it_holds_against_the_plants_file(world: World) -> None:
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        assert answers(shell, "witnessed")
        shell.type("exit\n")
        shell.wait(SECONDS)
    world.closed(session)
    receipt = _given(world, session)
    assert (receipt["plant"], receipt["refusal"], receipt["target"]) == ("received", "", HOSTNAME)
    assert _sally(world, "receipts", "verify")[0] == 0
    copy = _recording(world, session, "copy.sallyrec")
    status, verified = _sally(world, "receipts", "verify", copy.name)
    assert (status, [one["good"] for one in verified["items"]]) == (0, [True])
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    status, verified = _sally(world, "receipts", "verify", copy.name)
    assert (status, [one["good"] for one in verified["items"]]) == (1, [False])
    world.trail_is_whole()


def test_a_killed_client_gives_no_receipt_until_somebody_signs_in_again(world: World) -> None:
    with world.shell(ADA) as shell:
        session = world.live(ADA)
        os.kill(_agent_of(world), signal.SIGKILL)
        assert answers(shell, "orphaned")
        shell.type("exit\n")
        shell.wait(SECONDS)
    world.closed(session)
    assert _receipt(world, session) is None
    world.sign_in(ADA)
    assert _given(world, session)["plant"] == "received"
