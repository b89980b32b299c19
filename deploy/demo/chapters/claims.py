"""What several steps claim: that a session is over on both sides, that nobody gets in, that a process is back."""

from __future__ import annotations

import json

from deploy.demo import acts, wires
from deploy.demo.acts import NAME
from deploy.demo.people import KELLER
from deploy.demo.plant_api import Json
from deploy.demo.scan import scan_from_vendor
from deploy.demo.site import SSH_PORT, TLS_PORT
from deploy.demo.stage import Stage
from deploy.demo.target import DATA_DIR
from deploy.demo.terminal import Terminal

_BACK_SECONDS = 60.0
_HELD_SECONDS = 1.5


def legs_are_dead(stage: Stage) -> None:
    """No end of either leg of any session is left."""
    found = wires.await_dead(stage.lab)
    stage.prove("both network legs are dead, at both ends of each", holds=found.are_dead, found=found)


def nobody_gets_in(stage: Stage, when: str) -> None:
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


def gets_in_again(stage: Stage, what: str) -> None:
    """The engineer gets in by stock ssh within a minute; `what` says after what."""
    desk = stage.desk(stage.site.people[KELLER])
    again = wires.await_true(lambda: desk.run(["ssh", NAME, "true"]), lambda done: done.returncode == 0, _BACK_SECONDS)
    stage.prove(f"{what}, and the engineer gets in", holds=again.returncode == 0, found=again.stderr)


def comes_back(stage: Stage, name: str, old: int) -> None:
    """The supervisor starts a process again that died, and the site works."""
    new = stage.site.processes.await_new(name, old)
    stage.site.await_ready()
    gets_in_again(stage, f"{name} is back (pid {new})")


def is_held(stage: Stage, shell: Terminal, word: str, when: str) -> None:
    """A line that is typed now does not arrive: no echo, and nothing happens on the target."""
    shell.type(f"echo {word} > {DATA_DIR}/{word}.txt\n")
    shown = shell.read_on(_HELD_SECONDS)
    there = (stage.target.data_dir / f"{word}.txt").exists()
    stage.prove(f"{when}: what is typed does not arrive", holds=not there and word not in shown, found=shown)


def has_arrived(stage: Stage, shell: Terminal, word: str, when: str) -> None:
    """The line that was held arrives now, once."""
    shell.expect(word)
    path = stage.target.data_dir / f"{word}.txt"
    # A line that was typed before the shell was ready is on the screen before it is carried out.
    found = wires.await_true(lambda: path.read_text(encoding="utf-8") if path.exists() else "", bool)
    stage.prove(f"{when}: what was typed arrives", holds=found == f"{word}\n", found=found)
    path.unlink()


def recording_is(stage: Stage, recording_id: str, state: str) -> Json:
    """`sallyport verify` finds nothing bad, and this recording in this state; returns what it says of it."""
    verified = json.loads(stage.site.sallyport("verify", "--json").stdout or "{}")
    outcomes = [one for one in verified.get("recordings", ()) if one["recording_id"] == recording_id]
    stage.prove(
        f"'sallyport verify' finds nothing bad, and its recording {state}",
        holds=not verified.get("bad", True) and [one["state"] for one in outcomes] == [state],
        found=(verified.get("bad"), outcomes),
    )
    return dict(outcomes[0])


def last_words(shell: Terminal) -> str:
    """The last line of ours in the engineer's terminal."""
    lines = [line.strip() for line in shell.screen.splitlines() if "Sallyport" in line]
    return lines[-1] if lines else ""
