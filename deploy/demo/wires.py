"""What the kernels of the laboratory's hosts say about the two legs of a session: ss and conntrack."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deploy.demo.lab import BROKER, PLANT, VENDOR, Lab

_SECONDS = 30.0
_SSH = 22
_OVER = frozenset({"LISTEN", "TIME-WAIT"})

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Legs:
    """Connections of SSH sessions that live: counted at each end, and those that the broker's kernel tracks."""

    at_vendor: int
    at_broker_from_vendor: int
    at_broker_to_plant: int
    at_plant: int
    tracked: int

    @property
    def are_dead(self) -> bool:
        """No end of either leg is left, in no kernel."""
        return self == Legs(0, 0, 0, 0, 0)

    @property
    def both_live(self) -> bool:
        """Each leg has both of its ends."""
        return min(self.at_vendor, self.at_broker_from_vendor, self.at_broker_to_plant, self.at_plant) > 0


def legs(lab: Lab) -> Legs:
    """Both legs of every SSH session, as the kernels see them now."""
    tracked = lab.run(BROKER, ["conntrack", "-L", "-p", "tcp", "--state", "ESTABLISHED"], check=False).stdout
    return Legs(
        at_vendor=_living(lab, VENDOR, "dport"),
        at_broker_from_vendor=_living(lab, BROKER, "sport"),
        at_broker_to_plant=_living(lab, BROKER, "dport"),
        at_plant=_living(lab, PLANT, "sport"),
        tracked=sum(f" dport={_SSH} " in line for line in tracked.splitlines()),
    )


def await_dead(lab: Lab) -> Legs:
    """Wait until no leg is left; returns what is seen then, or after half a minute."""
    return await_true(lambda: legs(lab), lambda found: found.are_dead)


def await_true(look: Callable[[], _Found], fits: Callable[[_Found], bool], seconds: float = _SECONDS) -> _Found:
    """Look again and again until it fits; returns the last look, fitting or not."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if fits(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _living(lab: Lab, host: str, side: str) -> int:
    lines = lab.run(host, ["ss", "-Htan", f"( {side} = :{_SSH} )"]).stdout.splitlines()
    return sum(line.split()[0] not in _OVER for line in lines)
