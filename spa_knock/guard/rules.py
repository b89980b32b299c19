"""The judgement of one knock: packet, roster, state and time in; accepted or refused out. Pure.

The checks run from cheap to dear, so that junk costs next to nothing: length, key id (a dictionary), gate (a keyed
hash), encryption, stamp, and only then the signature.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from spa_knock.guard.roster import Device, GrantWindow, KeyTable
from spa_knock.wire.errors import PacketError, SealError, SignatureError
from spa_knock.wire.gate import gate_matches
from spa_knock.wire.keys import EPOCH_SECONDS, KID_BYTES
from spa_knock.wire.packet import NO_GRANT, PACKET_BYTES, Body, open_, verify_signed
from spa_knock.wire.proof import derive_proof_key
from spa_knock.wire.replay import WINDOW_MS, StampVerdict, judge_stamp

Address = IPv4Address | IPv6Address

VENDOR_FACE_DOOR = 1
LOOSE_WINDOW_MS = EPOCH_SECONDS * 1000
"""How far the stamp of a device with a loose clock may lie from ours; beyond, its key id is of no epoch we look at."""
DEFAULT_WINDOW_SECONDS = 8
MAX_WINDOW_SECONDS = 30


class Reason(StrEnum):
    """Why a knock was refused; the names of the counters, and never told to the network."""

    NOT_READY = "not_ready"
    ROSTER_EXPIRED = "roster_expired"
    LENGTH = "length"
    KEY_ID = "key_id"
    GATE = "gate"
    SEAL = "seal"
    MALFORMED = "malformed"
    AUDIENCE = "audience"
    CLOCK = "clock"
    REPLAYED = "replayed"
    FENCED = "fenced"
    DEVICE_EXPIRED = "device_expired"
    DOOR = "door"
    NO_GRANT = "no_grant"
    BIND = "bind"
    SIGNATURE = "signature"
    ADDRESS = "address"
    RATE = "rate"
    STORE = "store"
    FACTS_WAITING = "facts_waiting"
    GATEWAY = "gateway"
    OPENER = "opener"


_FOR_EVER = frozenset(
    {Reason.SEAL, Reason.MALFORMED, Reason.AUDIENCE, Reason.REPLAYED, Reason.FENCED, Reason.SIGNATURE}
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A knock that opens nothing. `device_id` is known once the encryption opened, `body` once it was read."""

    reason: Reason
    device_id: str | None = None
    body: Body | None = None

    @property
    def is_for_ever(self) -> bool:
        """Whether the same packet passed the gate and can never be accepted later, nor any with its clear bytes."""
        return self.reason in _FOR_EVER


@dataclass(frozen=True, slots=True)
class Accepted:
    """A knock that may open one door for one address. Its stamp is not stored yet."""

    device: Device
    body: Body
    knock_id: str
    grant_id: str | None
    address: Address
    window_seconds: int
    proof_key: bytes
    signed_knock: bytes


Judgement = Accepted | Refused


@dataclass(frozen=True, slots=True)
class Stand:
    """What the judgement depends on besides the packet.

    doors: those that this site has. last_stamp_ms: the newest stamp accepted from a device, 0 when none.
    """

    table: KeyTable
    doors: Collection[int]
    last_stamp_ms: Callable[[str], int]
    fence_ms: int
    now_ms: int


def judge(packet: bytes, source: Address, stand: Stand) -> Judgement:
    """Whether this datagram, as it came from `source`, opens a door.

    An address that does not fit refuses without using the knock up: the owner's own copy still works.
    """
    if len(packet) != PACKET_BYTES:
        return Refused(Reason.LENGTH)
    found = stand.table.find(packet[:KID_BYTES])
    if found is None:
        return Refused(Reason.KEY_ID)
    device, epoch = found
    if not any(gate_matches(key, packet) for key in stand.table.gate_keys(epoch)):
        return Refused(Reason.GATE)
    try:
        opened = open_(packet, device.keys)
    except SealError:
        return Refused(Reason.SEAL)
    except PacketError:
        return Refused(Reason.MALFORMED, device.device_id)
    refusal = _refusal(opened.body, device, source, stand)
    if refusal is not None:
        return Refused(refusal, device.device_id, opened.body)
    try:
        verify_signed(opened.signed_knock, device.public_key)
    except SignatureError:
        return Refused(Reason.SIGNATURE, device.device_id)
    grant = device.grants.get(opened.body.grant)
    return Accepted(
        device=device,
        body=opened.body,
        knock_id=opened.header.nonce.hex(),
        grant_id=grant.grant_id if grant else None,
        address=opened.body.address or source,
        window_seconds=_window_seconds(opened.body, grant, stand.now_ms),
        proof_key=derive_proof_key(device.keys, opened.header.nonce),
        signed_knock=opened.signed_knock,
    )


def _refusal(body: Body, device: Device, source: Address, stand: Stand) -> Reason | None:
    if stand.now_ms >= stand.table.roster.expires_at_ms:
        return Reason.ROSTER_EXPIRED
    if body.audience != stand.table.roster.audience:
        return Reason.AUDIENCE
    match judge_stamp(
        body.stamp_ms,
        last_ms=stand.last_stamp_ms(device.device_id),
        now_ms=stand.now_ms,
        fence_ms=stand.fence_ms,
        window_ms=LOOSE_WINDOW_MS if _may_be_loose(body, device) else WINDOW_MS,
    ):
        case StampVerdict.TOO_OLD | StampVerdict.TOO_NEW:
            return Reason.CLOCK
        case StampVerdict.REPLAYED:
            return Reason.REPLAYED
        case StampVerdict.FENCED:
            return Reason.FENCED
        case StampVerdict.FRESH:
            pass
    if stand.now_ms >= device.not_after_ms:
        return Reason.DEVICE_EXPIRED
    if body.service not in device.doors or body.service not in stand.doors:
        return Reason.DOOR
    if not _grant_fits(body, device, stand.now_ms):
        return Reason.NO_GRANT
    if device.binds and body.bind not in device.binds:
        return Reason.BIND
    if not _address_fits(body, device, source):
        return Reason.ADDRESS
    return None


def _window_seconds(body: Body, grant: GrantWindow | None, now_ms: int) -> int:
    """The wanted window, within its bounds, and not beyond the second in which the grant ends."""
    wanted = min(body.ttl_seconds or DEFAULT_WINDOW_SECONDS, MAX_WINDOW_SECONDS)
    return wanted if grant is None else min(wanted, max(1, -((now_ms - grant.not_after_ms) // 1000)))


def _may_be_loose(body: Body, device: Device) -> bool:
    """A knock that is held back stays good for longer, so it must be useless elsewhere: address and key are its own."""
    return body.loose_clock and device.loose_clock and body.address is not None and any(body.bind)


def _grant_fits(body: Body, device: Device, now_ms: int) -> bool:
    if body.service == VENDOR_FACE_DOOR:
        return body.grant == NO_GRANT
    grant = device.grants.get(body.grant)
    return grant is not None and grant.door == body.service and grant.not_before_ms <= now_ms < grant.not_after_ms


def _address_fits(body: Body, device: Device, source: Address) -> bool:
    if source.is_unspecified or source.is_multicast or source.is_loopback:
        return False
    return device.allow_header_address if body.address is None else body.address == source
