"""The engineer's laptop takes another address in mid-session, as one does that changes its network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.demo import acts, wires
from deploy.demo.acts import NAME
from deploy.demo.lab import LEGS, VENDOR, VENDOR_ADDRESS, Lab
from deploy.demo.people import Person
from deploy.demo.stage import Stage
from deploy.demo.wires import Legs

_OTHER_ADDRESS = "198.51.100.77"
_NEXT_CODE_SECONDS = 10.0


@contextmanager
def laptop_moves(stage: Stage, person: Person) -> Iterator[None]:
    """Prove what becomes of a session whose laptop moves; inside the block the laptop is where it moved to."""
    with acts.ssh_session(stage, person) as shell:
        session_id = acts.live_session(stage, person)
        _take(stage.lab, _OTHER_ADDRESS)
        try:
            shell.type("echo moved-$((40+2))\n")
            _ends(stage, person, session_id)
            shown = shell.screen
            stage.prove(
                "nothing of what was typed meanwhile has come through", holds="moved-42" not in shown, found=shown
            )
            _forget_connections(stage.lab, VENDOR_ADDRESS)
            _works_from_there(stage, person)
            yield
        finally:
            _forget_connections(stage.lab, _OTHER_ADDRESS)
            _take(stage.lab, VENDOR_ADDRESS)


def _ends(stage: Stage, person: Person, session_id: str) -> None:
    again = stage.desk(person).run(["ssh", NAME, "true"])
    stage.prove(
        "the laptop takes another address in mid-session: with what it holds, its knock from there opens no session",
        holds=again.returncode == acts.SSH_FAILED,
        found=again.stderr,
    )
    stage.say(again.stderr.strip().splitlines()[0])
    record = acts.closed_session(stage, session_id)
    stage.prove(
        "but that knock tells that it moved: the session of the old address ends by itself, with the reason",
        holds=record["end_reason"] == "source_changed",
        found=record,
    )
    codes = acts.await_codes(stage, session_id, "sessions.session.ended")
    once = [codes.count(f"sessions.session.{what}") for what in ("end_ordered", "ended")]
    stage.prove("the trail has order and end, each once", holds=once == [1, 1], found=codes)
    legs = wires.await_true(lambda: wires.legs(stage.lab), _are_gone)
    stage.prove("both legs are gone, at the broker and at the target", holds=_are_gone(legs), found=legs)


def _are_gone(legs: Legs) -> bool:
    """The laptop's own end hangs: nobody can tell it anything at an address that it has left."""
    return legs.at_broker_from_vendor == legs.at_broker_to_plant == legs.at_plant == legs.tracked == 0


def _works_from_there(stage: Stage, person: Person) -> None:
    desk = stage.desk(person)
    status, screen = acts.sign_in(desk, person, person.code(_NEXT_CODE_SECONDS))
    again = desk.run(["ssh", NAME, "true"])
    stage.prove(
        "signed in from there, with a fresh certificate and a fresh knock, the same access works",
        holds=(status, again.returncode) == (0, 0),
        found=(screen, again.stderr),
    )


def _take(lab: Lab, address: str) -> None:
    """Let the laptop have this address and no other; what it had open is left to hang."""
    leg = next(leg for leg in LEGS if leg.host == VENDOR)
    commands = (
        f"address flush dev {leg.interface}",
        f"address add {address}/24 dev {leg.interface}",
        f"route add default via {leg.router_address}",
    )
    lab.run(VENDOR, ["ip", "-batch", "-"], text="\n".join(commands) + "\n")


def _forget_connections(lab: Lab, address: str) -> None:
    """What a laptop's own system does sooner or later with connections of an address that it has left."""
    lab.run(VENDOR, ["ss", "--kill", "-tn", "src", address])
