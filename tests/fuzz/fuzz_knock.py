"""What strangers and compromised peers can send, as fuzz targets: `./dev fuzz TARGET [SECONDS]`.

TARGET: `packet` (the knock as the guard judges it), `sealed` (a packet whose maker has a device's knock key, so that
its inside is read), `link` (framing and the opener's verbs), `roster` (control's word to the guard), `proof` (the first
bytes of a connection), `invite` (what a person pastes). A target that raises anything but its own errors is a find.
"""

import base64
import json
from collections.abc import Callable
from ipaddress import ip_address

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from spa_knock.client.invite import MOST_TEXT, PREFIX, InviteError, parse_invite
from spa_knock.guard.errors import RosterError
from spa_knock.guard.roster import Assembly
from spa_knock.guard.rules import Accepted, Stand, judge
from spa_knock.link.framing import Decoder, FramingError, encode
from spa_knock.opener.config import Peer, parse_config
from spa_knock.opener.errors import Refusal
from spa_knock.opener.verbs import parse
from spa_knock.wire.errors import WireError
from spa_knock.wire.keys import DeviceKeys
from spa_knock.wire.packet import BODY_BYTES, HEADER_BYTES, PACKET_BYTES, SIGNATURE_BYTES, Body, nonce_of, open_
from spa_knock.wire.proof import PROOF_BYTES, check_proof
from tests.unit.spa_knock.guard.testing import AUDIENCE, NOW_MS, Workstation, a_table, roster_message
from tests.unit.spa_knock.opener.testing import CONFIG_TEXT

_DEVICE = Workstation(1)
_STAND = Stand(a_table(_DEVICE.entry()), {1, 2}, lambda _device: 0, 0, NOW_MS)
_SOURCE = ip_address("198.51.100.7")
_GOOD = _DEVICE.knock()
_CONFIG = parse_config(CONFIG_TEXT)
_KEYS = DeviceKeys.derive(_DEVICE.knock_key, AUDIENCE)
_GOOD_INSIDE = open_(_GOOD, _KEYS).signed_knock[HEADER_BYTES:]


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


def fuzz_sealed(data: bytes) -> None:
    """A good packet's inside with the data laid over it, sealed again: what a stolen knock key alone could send."""
    inside = bytes(a ^ b for a, b in zip(_GOOD_INSIDE, data.ljust(len(_GOOD_INSIDE), b"\0"), strict=False))
    header = _GOOD[:HEADER_BYTES]
    packet = header + ChaCha20Poly1305(_KEYS.aead).encrypt(nonce_of(_GOOD), inside, header)
    if isinstance(judge(packet, _SOURCE, _STAND), Accepted) and packet != _GOOD:
        raise AssertionError("a knock that its device did not sign was accepted")


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


def fuzz_invite(data: bytes) -> None:
    """Pasted text, as it is and as the inside of an invite."""
    text = data.decode("utf-8", "replace")
    inside = base64.urlsafe_b64encode(data[: MOST_TEXT // 2]).decode()
    for pasted in (text, PREFIX + text, PREFIX + inside):
        try:
            parse_invite(pasted)
        except InviteError:
            continue


TARGETS: dict[str, Callable[[bytes], None]] = {
    "packet": fuzz_packet,
    "sealed": fuzz_sealed,
    "link": fuzz_link,
    "roster": fuzz_roster,
    "proof": fuzz_proof,
    "invite": fuzz_invite,
}

_REQUESTS: list[dict[str, object]] = [
    {"type": "open", "door": 1, "address": "198.51.100.7", "seconds": 8, "knock_id": "00" * 12},
    {"type": "restate", "marks": [1, 2]},
    {"type": "egress", "address": "2001:db8::1", "port": 22, "seconds": 60},
    {"type": "status", "id": 1},
]
SEEDS: dict[str, list[bytes]] = {
    "packet": [_GOOD, bytes(PACKET_BYTES), _GOOD_INSIDE],
    "sealed": [bytes(BODY_BYTES + SIGNATURE_BYTES), bytes(BODY_BYTES), b"\x01"],
    "link": [*(encode(one) for one in _REQUESTS), b"".join(encode(one) for one in _REQUESTS)],
    "roster": [json.dumps(roster_message(_DEVICE.entry())).encode(), json.dumps(roster_message(parts=2)).encode()],
    "proof": [bytes(PROOF_BYTES)],
    "invite": [PREFIX.encode(), json.dumps({"v": 1, "knock": {}, "site": {}}).encode()],
}
"""Where a fuzzer begins: one well-formed input of each kind, so that it need not find the shape by itself."""
