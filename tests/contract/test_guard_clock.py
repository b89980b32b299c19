"""The guard's process under a clock that is set: libfaketime moves the wall clock of this one process alone."""

import glob
import os
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.contract.guard_site import DEVICE, Site, now_ms
from tests.contract.namespaces import Lab
from tests.unit.spa_knock.guard.testing import Workstation, roster_message

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")  # noqa: PTH207
pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root, iproute2 and nftables"),
    pytest.mark.skipif(not LIBRARY, reason="needs libfaketime"),
]
OTHER = Workstation(2)
STEP_SECONDS = 120
TOO_OLD = ("refused_clock", "shed_at_socket")
"""Where a knock of another time ends: beyond the end of an epoch its gate tag does not fit any more either."""

# libfaketime reads its file at each look at the clock, which the guard's own system-call filter would refuse: here,
# and only here, the guard runs without it.
_GUARD = """
import sys
from spa_knock.guard import __main__
__main__.confine = lambda _confinement: True
sys.exit(__main__.main(sys.argv[1:]))
"""
_UNDER_FAKETIME = f"""
import os, sys
os.environ.update(
    LD_PRELOAD={LIBRARY!r}, FAKETIME_TIMESTAMP_FILE=sys.argv[1], FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1"
)
os.execv(sys.executable, [sys.executable, "-c", {_GUARD!r}, *sys.argv[2:]])
"""


class ClockSite(Site):
    """A site whose guard's wall clock the test sets."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.clock_file = lab.folder / "clock"
        self.set_clock(0)

    def set_clock(self, seconds: int) -> None:
        """How far the guard's wall clock is from the machine's."""
        fresh = self.clock_file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.chmod(0o644)
        fresh.replace(self.clock_file)

    def arguments(self) -> tuple[str, ...]:
        module, *options = super().arguments()[1:]
        assert module == "spa_knock.guard"
        return "-c", _UNDER_FAKETIME, str(self.clock_file), *options

    def two_devices(self) -> None:
        """A roster with another device, whose knocks have not been seen."""
        soon = now_ms() + 600_000
        entries = (device.entry(not_after_ms=soon) for device in (DEVICE, OTHER))
        self.control.tell(roster_message(*entries, version=2, expires_at_ms=soon))

    def wait_for_counter(self, *names: str) -> None:
        """Wait until the guard says that it counted one of these."""
        end = time.monotonic() + 30
        while not any(name in str(message.get("counters")) for message in self.control.heard[-3:] for name in names):
            assert time.monotonic() < end, self.control.heard[-1:]
            time.sleep(0.1)


@pytest.fixture
def site() -> Iterator[ClockSite]:
    with Lab() as lab:
        site = ClockSite(lab)
        try:
            site.initialise()
            site.start_guard()
            yield site
        finally:
            site.close()


def accept(site: ClockSite, packet: bytes) -> None:
    before = site.facts()
    site.send(packet)
    site.control.wait_for("knock", before + 1)


def settle(site: ClockSite, seconds: int) -> None:
    """Set the clock and wait until the guard has noticed and accepts again."""
    heard = len(site.control.heard)
    site.set_clock(seconds)
    site.control.wait_for_state("degraded", heard, seconds=20)
    assert site.control.heard[-1]["faults"] == ["clock"]
    site.control.wait_for_state("armed", len(site.control.heard), seconds=30)


def test_a_clock_set_back_stops_the_guard_and_brings_no_old_knock_back(site: ClockSite) -> None:
    site.two_devices()
    stamp_ms = now_ms()
    accept(site, DEVICE.knock(stamp_ms=stamp_ms, ttl_seconds=1))
    withheld = OTHER.knock(stamp_ms=stamp_ms - 5, ttl_seconds=1)
    before = site.facts()
    settle(site, 60)
    site.send(withheld)
    site.wait_for_counter(*TOO_OLD)
    # By the clock alone it would be good again: it is less than half a minute old once more.
    settle(site, int((stamp_ms - now_ms()) / 1000) - 11)
    site.send(withheld)
    site.wait_for_counter("refused_fenced")
    site.stop_guard(kill=True)
    site.start_guard()
    site.two_devices()
    site.send(withheld)
    time.sleep(0.5)
    assert site.facts() == before


def test_a_guard_that_starts_with_an_earlier_clock_takes_nothing_from_before(site: ClockSite) -> None:
    accept(site, DEVICE.knock(stamp_ms=now_ms(), ttl_seconds=1))
    withheld = OTHER.knock(stamp_ms=now_ms() - STEP_SECONDS * 1000, ttl_seconds=1)
    before = site.facts()
    site.stop_guard()
    site.set_clock(-STEP_SECONDS)
    site.start_guard()
    site.two_devices()
    site.send(withheld)
    site.wait_for_counter("refused_fenced")
    assert site.facts() == before


def test_the_guards_clock_is_really_the_set_one(site: ClockSite) -> None:
    """Otherwise the two above would prove nothing: a knock of the machine's time is refused."""
    heard = len(site.control.heard)
    site.set_clock(STEP_SECONDS)
    site.control.wait_for_state("degraded", heard, seconds=20)
    site.control.wait_for_state("armed", len(site.control.heard), seconds=30)
    site.send(DEVICE.knock(stamp_ms=now_ms()))
    site.wait_for_counter(*TOO_OLD)
