"""What a session owes the plant: somebody who watches it, where that is asked for, and a control plane that answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.demo import acts
from deploy.demo.acts import NAME
from deploy.demo.chapters import claims
from deploy.demo.people import KELLER, WU
from deploy.demo.plant_api import text_of
from deploy.demo.scan import scan_from_vendor
from deploy.demo.site import SSH_PORT, TLS_PORT
from deploy.demo.stage import Stage
from deploy.demo.terminal import Terminal
from deploy.demo.watch import Watch

_CONNECT_SECONDS = 60.0
_AUTONOMY_SECONDS = 5
_UNWATCHED = "held until somebody"
_AWAY = "control is away"
_GOES_ON = "The session goes on"


def must_be_watched(stage: Stage) -> None:
    """Where a session must be watched, no key arrives while nobody watches, nor once control is dead."""
    keller = stage.site.people[KELLER]
    with (
        stage.site.changed("limits", must_be_watched=True),
        acts.terminal(stage.desk(keller), ["ssh", NAME]) as shell,
    ):
        shell.expect(_UNWATCHED, _CONNECT_SECONDS)
        session_id = acts.live_session(stage, keller)
        claims.is_held(stage, shell, "before", "a session begins, and nobody watches")
        stage.say(f"the engineer reads: {claims.last_words(shell)}")
        with _watched(stage, session_id, shell):
            claims.has_arrived(stage, shell, "before", f"{stage.site.people[WU].role.display_name} watches")
        shell.expect(_UNWATCHED)
        claims.is_held(stage, shell, "between", "the watcher goes")
        with _watched(stage, session_id, shell):
            claims.has_arrived(stage, shell, "between", "watched again")
            with stage.site.processes.held():
                pid = stage.site.processes.kill("control")
                shell.expect(f"{_AWAY}|{_UNWATCHED}")
                claims.is_held(stage, shell, "unseen", f"control (pid {pid}) is killed, so nobody can watch")
        stage.site.processes.await_new("control", pid)
        stage.site.await_ready()
        with _watched(stage, session_id, shell):
            claims.has_arrived(stage, shell, "unseen", "control is back, and somebody watches")
            shell.type("exit\n")
            shell.wait()
    acts.closed_session(stage, session_id)
    codes = acts.codes_of(stage, session_id)
    told = [codes.count(f"sessions.session.{what}") for what in ("watched", "ended")]
    stage.prove("the trail tells of each of the three watches, and of one end", holds=told == [3, 1], found=codes)


@contextmanager
def _watched(stage: Stage, session_id: str, shell: Terminal) -> Iterator[None]:
    """The auditor watches meanwhile, and the engineer is told that the session goes on."""
    with Watch(stage.console_of(stage.site.people[WU]), session_id):
        shell.expect(_GOES_ON)
        yield


def control_stays_away(stage: Stage) -> None:
    """Control stays away for longer than a session may live alone: it is held, then ends by itself; nobody gets in."""
    keller = stage.site.people[KELLER]
    desk, processes = stage.desk(keller), stage.site.processes
    with (
        stage.site.changed("limits", autonomy_seconds=_AUTONOMY_SECONDS),
        acts.ssh_session(stage, keller) as shell,
    ):
        session_id = acts.live_session(stage, keller)
        with processes.held():
            pid, died = processes.kill("control"), time.monotonic()
            shell.type("echo alone-$((40+2))\n")
            shell.expect("alone-42")
            stage.prove(f"control (pid {pid}) is killed, and the session goes on at first", holds=True)
            shell.expect(_AWAY)
            after = time.monotonic() - died
            claims.is_held(stage, shell, "too-late", f"after {after:.0f} s, {_AUTONOMY_SECONDS} are allowed")
            shell.expect("away for too long")
            shell.wait()
            stage.prove(f"after {time.monotonic() - died:.0f} s it ends by itself, and says why", holds=True)
            stage.say(f"the engineer reads: {claims.last_words(shell)}")
            claims.legs_are_dead(stage)
            again = desk.run(["ssh", NAME, "true"])
            facts = scan_from_vendor(stage.lab, udp_ports="62201", tcp_ports=f"{SSH_PORT},{TLS_PORT}")
            stage.prove(
                "nobody gets in, and to everybody the door looks shut",
                holds=again.returncode == acts.SSH_FAILED and facts.tcp.tells_nothing,
                found=(again.stderr, facts.tcp),
            )
        claims.comes_back(stage, "control", pid)
        record = acts.closed_session(stage, session_id)
        codes = acts.await_codes(stage, session_id, "sessions.session.ended")
        once = codes.count("sessions.session.ended")
        stage.prove(
            "the trail has the end once, with its reason",
            holds=(record["end_reason"], once) == ("autonomy", 1),
            found=(record, codes),
        )
        claims.recording_is(stage, text_of(record, "recording_id"), "sealed")
