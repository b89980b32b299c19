"""The firewall between the zones carries the rules that the product wrote: the broker is the only way in."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

from deploy.demo import boundary, netns
from deploy.demo.acts import NAME
from deploy.demo.lab import (
    BROKER_PLANT_ADDRESS,
    OFFICE,
    OFFICE_ADDRESS,
    PLANT,
    PLANT_ADDRESS,
    ROUTER,
    VENDOR,
    VENDOR_ADDRESS,
    Lab,
)
from deploy.demo.people import KELLER, SUN
from deploy.demo.scan import OutgoingCapture
from deploy.demo.stage import Stage
from deploy.demo.target import HOSTNAME, PORT

_SSH = 22
_WAIT_SECONDS = 1.0
_LISTENER_PORT = 8022
_PLANTED = f'iifname "office0" oifname "plant0" ip daddr {PLANT_ADDRESS} tcp dport {_SSH} accept'


def enclosed(stage: Stage) -> None:
    """Nobody walks around the broker: the boundary firewall has exactly the rules that the site's zones mean."""
    lab, keller = stage.lab, stage.site.people[KELLER]
    sun = stage.console_of(stage.site.people[SUN])
    plan = boundary.whole_plan(lab, HOSTNAME, PORT)
    rules = boundary.rendered(plan)
    stage.prove(
        "the console writes the same rules from the registry as 'sallyport boundary render' from the plan",
        holds=str(sun.get("/boundary/rules?format=nftables")["text"]) == rules,
        found=rules,
    )
    boundary.load(lab, rules)
    status, words = _findings(lab, plan)
    stage.prove(
        "the router has loaded exactly them, as 'sallyport boundary check' says", holds=status == 0, found=words
    )
    _nobody_walks_around(stage)
    _plant_dials_nobody(stage)
    works = stage.desk(keller).run(["ssh", NAME, "hostname"])
    stage.prove("the broker still works through it", holds=works.returncode == 0, found=works.stderr)
    lab.run(ROUTER, ["nft", "insert", "rule", "inet", "sallyport_boundary", "forward", *_PLANTED.split()])
    stage.prove("somebody plants a rule, and the office reaches the target", holds=_reaches(lab, OFFICE))
    status, words = _findings(lab, plan)
    stage.prove(
        "'sallyport boundary check' finds it",
        holds=status == 1 and "EXTRA" in words and "office0" in words,
        found=words,
    )
    stage.say(" ".join(words.split())[:300])
    found = sun.post("/boundary/check", {"format": "nftables", "text": boundary.exported(lab)})
    stage.prove("and so does the console", holds=found["clean"] is False, found=found)
    boundary.load(lab, rules)
    status, words = _findings(lab, plan)
    stage.prove(
        "loaded once more, the rule is gone and the office is out again",
        holds=status == 0 and not _reaches(lab, OFFICE),
        found=words,
    )


def _nobody_walks_around(stage: Stage) -> None:
    lab = stage.lab
    with OutgoingCapture(lab, ROUTER, "plant0") as capture:
        reached = [host for host in (OFFICE, VENDOR) if _reaches(lab, host)]
        before = boundary.dropped(lab, "spoofed")
        for host in (OFFICE, VENDOR):
            _send_spoofed(lab, host)
        spoofed = boundary.dropped(lab, "spoofed") - before
    stage.prove("neither office nor vendor reaches the target's SSH", holds=not reached, found=reached)
    stage.prove(
        f"nor with the broker's address as source: {spoofed} such packets were dropped for it",
        holds=spoofed >= 2,
        found=spoofed,
    )
    stage.prove(
        "and not one packet of theirs was let through to the plant",
        holds=capture.silence.ip_to(PLANT_ADDRESS) == 0 and capture.silence.missed == 0,
        found=capture.silence,
    )


def _plant_dials_nobody(stage: Stage) -> None:
    lab = stage.lab
    for host, address in ((VENDOR, VENDOR_ADDRESS), (OFFICE, OFFICE_ADDRESS)):
        with netns.call_inside(lab.namespace(host), partial(socket.create_server, (address, _LISTENER_PORT))):
            here = _connects(lab, host, address, _LISTENER_PORT)
            there = _connects(lab, PLANT, address, _LISTENER_PORT)
        stage.prove(f"the plant cannot dial out to the {host}", holds=here and not there, found=(here, there))


def _reaches(lab: Lab, host: str) -> bool:
    return _connects(lab, host, PLANT_ADDRESS, _SSH)


def _connects(lab: Lab, host: str, address: str, port: int) -> bool:
    try:
        netns.connect(lab.namespace(host), address, port, _WAIT_SECONDS).close()
    except OSError:
        return False
    return True


def _send_spoofed(lab: Lab, host: str) -> None:
    """Send SYNs to the target with the broker's address, as a host does that has taken it."""
    lab.run(host, ["ip", "address", "add", f"{BROKER_PLANT_ADDRESS}/32", "dev", "lo"])
    try:

        def attempt() -> None:
            with socket.socket() as taken:
                taken.settimeout(_WAIT_SECONDS)
                taken.bind((BROKER_PLANT_ADDRESS, 0))
                taken.connect_ex((PLANT_ADDRESS, _SSH))

        netns.call_inside(lab.namespace(host), attempt)
    finally:
        lab.run(host, ["ip", "address", "delete", f"{BROKER_PLANT_ADDRESS}/32", "dev", "lo"])


def _findings(lab: Lab, plan: Path) -> tuple[int, str]:
    done = boundary.check(plan, boundary.exported(lab))
    return done.returncode, done.stdout + done.stderr
