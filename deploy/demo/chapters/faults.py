"""Processes of the site die: what must close is closed, what must live lives, and each comes back."""

from __future__ import annotations

import json

from deploy.demo import acts, wires
from deploy.demo.acts import NAME
from deploy.demo.people import KELLER
from deploy.demo.plant_api import text_of
from deploy.demo.scan import scan_from_vendor
from deploy.demo.site import SSH_PORT, TLS_PORT
from deploy.demo.stage import Stage

_UNFINISHED = 3


def faults(stage: Stage) -> None:
    """guard, opener and gateway are killed in turn: doors stay closed meanwhile, and each comes back."""
    keller = stage.site.people[KELLER]
    with acts.ssh_session(stage, keller) as shell:
        session_id = acts.live_session(stage, keller)
        for name in ("guard", "opener"):
            with stage.site.processes.held():
                pid = stage.site.processes.kill(name)
                _nobody_gets_in(stage, f"{name} (pid {pid}) is killed")
                shell.type(f"echo without-{name}-$((40+2))\n")
                shell.expect(f"without-{name}-42")
                stage.prove("the session under way goes on", holds=True)
            _comes_back(stage, name, pid)
        with stage.site.processes.held():
            pid = stage.site.processes.kill("gateway")
            shell.wait(60)
            legs = wires.await_dead(stage.lab)
            stage.prove(
                f"gateway (pid {pid}) is killed: its session is over, both legs are dead",
                holds=legs.are_dead,
                found=legs,
            )
            _nobody_gets_in(stage, "while it is away")
        _comes_back(stage, "gateway", pid)
    record = acts.closed_session(stage, session_id)
    stage.say(f"the console says of the session: {record['end_reason']}")
    verified = json.loads(stage.site.sallyport("verify", "--json").stdout or "{}")
    states = {one["recording_id"]: one["state"] for one in verified.get("recordings", ())}
    stage.prove(
        "its recording is marked as broken, sound up to there, and nothing else has changed",
        holds=verified.get("exit_code") == _UNFINISHED and states.get(text_of(record, "recording_id")) == "broken",
        found=(verified.get("bad"), states),
    )


def _nobody_gets_in(stage: Stage, when: str) -> None:
    """Windows that are open run out by themselves within seconds; after that a knock opens none."""
    facts = wires.await_true(
        lambda: scan_from_vendor(stage.lab, udp_ports="62201", tcp_ports=f"{SSH_PORT},{TLS_PORT}"),
        lambda found: found.tcp.tells_nothing,
    )
    tried = acts.knocks_again(stage, stage.site.people[KELLER])
    stage.prove(
        f"{when}: a knock gets nobody in, every port is silent",
        holds=tried["connected"] is False and facts.tcp.tells_nothing and facts.udp.tells_nothing,
        found=(tried, facts),
    )


def _comes_back(stage: Stage, name: str, old: int) -> None:
    new = stage.site.processes.await_new(name, old)
    stage.site.await_ready()
    desk = stage.desk(stage.site.people[KELLER])
    again = wires.await_true(lambda: desk.run(["ssh", NAME, "true"]), lambda done: done.returncode == 0, 60.0)
    stage.prove(
        f"{name} is back (pid {new}), and the engineer gets in", holds=again.returncode == 0, found=again.stderr
    )
