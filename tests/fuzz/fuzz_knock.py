"""Coverage-guided fuzzing of what strangers and compromised peers can send, with atheris (not part of the suite).

    python -m pip install atheris      # needs clang's libFuzzer; not in the lock file
    PYTHONPATH=. python tests/fuzz/fuzz_knock.py TARGET -max_total_time=300

TARGET: `packet` (the knock as the guard judges it), `link` (framing and the opener's verbs), `roster` (control's word
to the guard), `proof` (the first bytes of a connection). A target that raises anything but its own errors is a find.
"""

import json
import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from spa_knock.guard.errors import RosterError
from spa_knock.guard.roster import Assembly
from spa_knock.guard.rules import Accepted, Stand, judge
from spa_knock.link.framing import Decoder, FramingError
from spa_knock.opener.config import Peer, parse_config
from spa_knock.opener.errors import Refusal
from spa_knock.opener.verbs import parse
from spa_knock.wire.errors import WireError
from spa_knock.wire.packet import PACKET_BYTES, Body
from spa_knock.wire.proof import check_proof
from tests.unit.spa_knock.guard.testing import NOW_MS, Workstation, a_table
from tests.unit.spa_knock.opener.testing import CONFIG_TEXT

_DEVICE = Workstation(1)
_STAND = Stand(a_table(_DEVICE.entry()), {1, 2}, lambda _device: 0, 0, NOW_MS)
_SOURCE = ip_address("198.51.100.7")
_GOOD = _DEVICE.knock()
_CONFIG = parse_config(CONFIG_TEXT)


def fuzz_packet(data: bytes) -> None:
    """Raw datagrams, and a good packet with the data laid over it, which gets past the key id."""
    for packet in (data, bytes(a ^ b for a, b in zip(_GOOD, data.ljust(PACKET_BYTES, b"\0"), strict=False))):
        if isinstance(judge(packet, _SOURCE, _STAND), Accepted) and packet != _GOOD:
            raise AssertionError("a packet that its device did not make was accepted")
    try:
        body = Body.decode(data[:88])
    except WireError:
        return
    if body.encode() != data[:88]:
        raise AssertionError("two packets with one meaning")


def fuzz_link(data: bytes) -> None:
    """A peer's byte stream, up to the typed verb."""
    try:
        messages = Decoder().feed(data)
    except FramingError:
        return
    for message in messages:
        for peer in Peer:
            try:
                parse(peer, message, _CONFIG)
            except Refusal:
                continue


def fuzz_roster(data: bytes) -> None:
    """Any JSON object as a roster."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(message, dict):
        try:
            Assembly().add(message)
        except RosterError:
            return


def fuzz_proof(data: bytes) -> None:
    """The first bytes of a connection, against a knock that is expected."""
    try:
        check_proof(data, bytes(32), bytes(12), 1)
    except WireError:
        return
    raise AssertionError("a proof without the key")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "packet": fuzz_packet,
    "link": fuzz_link,
    "roster": fuzz_roster,
    "proof": fuzz_proof,
}


def main() -> None:
    """Hand the chosen target to atheris."""
    import atheris  # type: ignore[import-not-found, unused-ignore]

    target: Any = atheris.instrument_func(TARGETS[sys.argv.pop(1)])
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
