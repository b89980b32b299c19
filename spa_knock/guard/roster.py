"""Who may knock: the roster that control sends, parsed strictly, and the table that finds a device by its key id. Pure.

A roster replaces the one before as a whole, when its last part is in. It lives in memory only.
"""

import base64
import binascii
import hashlib
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

from spa_knock.guard.errors import RosterError
from spa_knock.wire.errors import WireError
from spa_knock.wire.ids import raw_id
from spa_knock.wire.keys import AUDIENCE_BYTES, KEY_BYTES, DeviceKeys, day_key, day_of_epoch, epoch_at, gate_key
from spa_knock.wire.packet import BIND_BYTES
from spa_knock.wire.replay import WINDOW_MS
from spa_knock.wire.signature import DevicePublicKey, load_public_key

MAX_DEVICES = 20_000
MAX_PARTS = 1_024
MAX_SITE_KEYS = 2
"""The key in force, and during a rotation the other one: so many gates fit into the kernel's filter."""
GATE_MARGIN_MS = WINDOW_MS + 5_000
"""How far a client's epoch may lie from the guard's: the clock window and the way."""
_MAX_GRANTS = 1_000
_MAX_BINDS = 64
_MAX_MARK = (1 << 31) - 1
_NO_GRANTS: Mapping[bytes, "GrantWindow"] = MappingProxyType({})
_DEVICE_ID = re.compile(r"[a-z]{3}_[0-9a-z]{26}\Z")


@dataclass(frozen=True, slots=True)
class GrantWindow:
    """One grant that a device may name in a knock, and when (milliseconds since the epoch)."""

    grant_id: str
    door: int
    not_before_ms: int
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class Device:
    """One identity that may knock: a workstation, or an invite under its own id.

    grants: by the raw 16 bytes of their ids. binds: the key hashes it may name; empty means any. loose_clock: its
    stamps may be wrong by up to an epoch, when it names its address.
    """

    device_id: str
    keys: DeviceKeys
    public_key_der: bytes
    mark: int
    allow_header_address: bool
    doors: frozenset[int]
    not_after_ms: int
    grants: Mapping[bytes, GrantWindow]
    binds: tuple[bytes, ...]
    next_keys: DeviceKeys | None = None
    """In force beside `keys` while the device renews itself."""
    loose_clock: bool = False

    @property
    def public_key(self) -> DevicePublicKey:
        """The key that signs its knocks; made at each use, because ten thousand loaded ones fill the memory."""
        return load_public_key(self.public_key_der)


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody who may knock, valid until `expires_at_ms`."""

    version: int
    expires_at_ms: int
    audience: bytes
    site_keys: tuple[bytes, ...] = field(repr=False)
    devices: Mapping[str, Device]

    def without(self, device_ids: frozenset[str]) -> "Roster":
        """The same roster without these devices."""
        kept = {name: device for name, device in self.devices.items() if name not in device_ids}
        return Roster(self.version, self.expires_at_ms, self.audience, self.site_keys, kept)


@dataclass(frozen=True, slots=True)
class _Part:
    version: int
    expires_at_ms: int
    audience: bytes
    site_keys: tuple[bytes, ...]
    part: int
    parts: int
    devices: tuple[Device, ...]


class Assembly:
    """Collects the parts of one roster at a time; they come in order on one link.

    before: the roster in force. What it says of a device in the same words is not worked out again: with ten thousand
    devices that would hold up knocks at every push.
    """

    def __init__(self, before: "KeyTable | None" = None) -> None:
        self._before = before
        self.known: dict[str, bytes] = {}
        self._first: _Part | None = None
        self._received = 0
        self._devices: dict[str, Device] = {}
        self._revoked: set[str] = set()

    def revoke(self, device_id: str) -> None:
        """Leave this device out of a roster of which some parts are in already: the revocation is the newer word."""
        self._revoked.add(device_id)

    def add(self, message: Mapping[str, object]) -> Roster | None:
        """One `roster` message. Returns the roster when this was its last part.

        Raises RosterError for anything malformed or out of order; then all parts are forgotten.
        """
        if message.get("part") == 1:
            self.known = {}
        try:
            return self._add(self._parse_part(message))
        except RosterError:
            self._forget()
            raise

    def _add(self, part: _Part) -> Roster | None:
        if part.part == 1:
            self._forget()
            self._first = part
        first = self._first
        same = first is not None and (
            (part.version, part.expires_at_ms, part.audience, part.site_keys, part.parts)
            == (first.version, first.expires_at_ms, first.audience, first.site_keys, first.parts)
        )
        if not same or part.part != self._received + 1:
            raise RosterError(f"part {part.part} of roster {part.version} does not follow the part before")
        self._received = part.part
        for device in part.devices:
            if device.device_id in self._devices:
                raise RosterError("a roster names a device twice")
            self._devices[device.device_id] = device
        if len(self._devices) > MAX_DEVICES:
            raise RosterError(f"a roster has more than {MAX_DEVICES} devices")
        if part.part < part.parts:
            return None
        roster = Roster(part.version, part.expires_at_ms, part.audience, part.site_keys, self._devices)
        revoked = frozenset(self._revoked)
        self._forget()
        return roster.without(revoked) if revoked else roster

    def _forget(self) -> None:
        self._first = None
        self._received = 0
        self._devices = {}
        self._revoked = set()

    def _parse_part(self, message: Mapping[str, object]) -> _Part:
        audience = _hex(message, "audience_hex", AUDIENCE_BYTES)
        site_keys = tuple(_decoded(item, "site_keys_b64") for item in _list(message, "site_keys_b64", MAX_SITE_KEYS))
        if not site_keys or any(len(key) != KEY_BYTES for key in site_keys):
            raise RosterError("site_keys_b64 has no key, or one of a wrong length")
        parts = _integer(message, "parts", 1, MAX_PARTS)
        return _Part(
            version=_integer(message, "version", 0, 1 << 62),
            expires_at_ms=_integer(message, "expires_at_ms", 0, 1 << 62),
            audience=audience,
            site_keys=site_keys,
            part=_integer(message, "part", 1, parts),
            parts=parts,
            devices=tuple(self._device(item, audience) for item in _list(message, "devices", MAX_DEVICES)),
        )

    def _device(self, item: object, audience: bytes) -> Device:
        device_id = _text(_object(item, "devices"), "device_id")
        words = hashlib.blake2b(repr((audience, item)).encode(), digest_size=16).digest()
        self.known[device_id] = words
        if self._before is not None and self._before.known.get(device_id) == words:
            return self._before.roster.devices[device_id]
        return _parse_device(item, audience)


class _KeyIds:
    """The key ids of one epoch in their order, and whose they are: twelve bytes a device, a tenth of a dictionary."""

    __slots__ = ("_ids", "_places")

    def __init__(self, ids: Iterable[bytes]) -> None:
        numbers = [int.from_bytes(key_id, "big") for key_id in ids]
        self._places = array("I", sorted(range(len(numbers)), key=numbers.__getitem__))
        self._ids = array("Q", (numbers[place] for place in self._places))

    def place(self, key_id: bytes) -> int | None:
        """Which of the ids this is, counted as they were given; None for a stranger's."""
        number = int.from_bytes(key_id, "big")
        at = bisect_left(self._ids, number)
        return self._places[at] if at < len(self._ids) and self._ids[at] == number else None


class KeyTable:
    """Finds the device and the epoch behind a key id, for three epochs at a time: the clocks of clients differ.

    Moving on by one epoch computes only the new one, and so does a roster that changes nobody.

    known: a hash of what the roster said of each device. before: the table that this one follows.
    """

    def __init__(
        self, roster: Roster, known: Mapping[str, bytes] | None = None, before: "KeyTable | None" = None
    ) -> None:
        self.roster = roster
        self.known = {name: known[name] for name in roster.devices if name in known} if known else {}
        self._ids: dict[int, _KeyIds] = {}
        self._gates: dict[int, tuple[bytes, ...]] = {}
        self._holders: tuple[Device | None, ...]
        if before is not None and _same(before.roster.devices, roster.devices):
            self._holders = before._holders
            self._ids = dict(before._ids)
        else:
            self._holders = _holders(roster.devices)
        if before is not None and before.roster.site_keys == roster.site_keys:
            self._gates = dict(before._gates)
        self.has_loose_clocks = any(device.loose_clock for device in roster.devices.values())

    def cover(self, epoch: int) -> None:
        """Hold exactly the epochs before, at and after `epoch`."""
        wanted = [number for number in (epoch, epoch - 1, epoch + 1) if number >= 0]
        if wanted == list(self._ids):
            return
        ids, gates = self._ids, self._gates
        self._ids = {number: ids.get(number) or self._key_ids(number) for number in wanted}
        self._gates = {number: gates.get(number) or self._gate_keys(number) for number in wanted}

    def find(self, key_id: bytes) -> tuple[Device, int] | None:
        """The device that this key id names, and in which epoch; None for junk."""
        for epoch, ids in self._ids.items():
            place = ids.place(key_id)
            device = None if place is None else self._holders[place]
            if device is not None:
                return device, epoch
        return None

    def forget(self, device_id: str) -> None:
        """Take one device out at once."""
        self.roster = self.roster.without(frozenset({device_id}))
        self.known.pop(device_id, None)
        # The places stay, so that no key id has to be worked out again.
        self._holders = tuple(
            None if holder is not None and holder.device_id == device_id else holder for holder in self._holders
        )

    def gate_keys(self, epoch: int) -> tuple[bytes, ...]:
        """The gate keys of a covered epoch, one for each site key in force."""
        return self._gates.get(epoch, ())

    def gate_keys_around(self, now_ms: int) -> tuple[bytes, ...]:
        """The gate keys that a client's knock may carry now: those of a neighbouring epoch only close to its border,
        unless a device with a loose clock may knock."""
        if self.has_loose_clocks:
            epochs = set(self._gates)
        else:
            epochs = {epoch_at((now_ms + margin) // 1000) for margin in (-GATE_MARGIN_MS, 0, GATE_MARGIN_MS)}
        return tuple(key for epoch, keys in self._gates.items() if epoch in epochs for key in keys)

    def _key_ids(self, epoch: int) -> _KeyIds:
        return _KeyIds(b"" if holder is None else holder.keys.key_id(epoch) for holder in self._holders)

    def _gate_keys(self, epoch: int) -> tuple[bytes, ...]:
        day = day_of_epoch(epoch)
        return tuple(gate_key(day_key(site_key, day), epoch) for site_key in self.roster.site_keys)


def _holders(devices: Mapping[str, Device]) -> tuple[Device, ...]:
    """Every device, and one that renews itself a second time under its next keys."""
    renewed = [replace(one, keys=one.next_keys) for one in devices.values() if one.next_keys is not None]
    return (*devices.values(), *renewed)


def _same(before: Mapping[str, Device], now: Mapping[str, Device]) -> bool:
    """Whether these are the very same devices: unchanged ones are the same objects."""
    return len(before) == len(now) and all(before.get(name) is device for name, device in now.items())


def _parse_device(item: object, audience: bytes) -> Device:
    fields = _object(item, "devices")
    device_id = _text(fields, "device_id")
    if not _DEVICE_ID.match(device_id):
        raise RosterError("device_id is no id")
    allow_header_address = fields.get("allow_header_address")
    if not isinstance(allow_header_address, bool):
        raise RosterError("allow_header_address is neither true nor false")
    loose_clock = fields.get("loose_clock", False)
    if not isinstance(loose_clock, bool):
        raise RosterError("loose_clock is neither true nor false")
    try:
        keys = DeviceKeys.derive(_base64(fields, "knock_key_b64"), audience)
        renews = fields.get("next_knock_key_b64") is not None
        next_keys = DeviceKeys.derive(_base64(fields, "next_knock_key_b64"), audience) if renews else None
        public_key_der = _base64(fields, "public_key_b64")
        load_public_key(public_key_der)
        grants = {
            raw_id(grant.grant_id): grant
            for grant in (_parse_grant(entry) for entry in _list(fields, "grants", _MAX_GRANTS))
        }
    except WireError as error:
        raise RosterError(f"device {device_id}: {error}") from error
    binds = [bytes.fromhex(text) for text in _hex_texts(_list(fields, "binds_hex", _MAX_BINDS), BIND_BYTES)]
    return Device(
        device_id=device_id,
        keys=keys,
        public_key_der=public_key_der,
        mark=_integer(fields, "mark", 1, _MAX_MARK),
        allow_header_address=allow_header_address,
        doors=_doors(tuple(_door(door) for door in _list(fields, "doors", 16))),
        not_after_ms=_integer(fields, "not_after_ms", 0, 1 << 62),
        grants=grants or _NO_GRANTS,
        binds=tuple(binds),
        next_keys=next_keys,
        loose_clock=loose_clock,
    )


def _parse_grant(item: object) -> GrantWindow:
    fields = _object(item, "grants")
    return GrantWindow(
        grant_id=_text(fields, "grant_id"),
        door=_door(fields.get("door")),
        not_before_ms=_integer(fields, "not_before_ms", 0, 1 << 62),
        not_after_ms=_integer(fields, "not_after_ms", 0, 1 << 62),
    )


@lru_cache(maxsize=1_024)
def _doors(doors: tuple[int, ...]) -> frozenset[int]:
    """One set for all devices with the same doors."""
    return frozenset(doors)


def _door(value: object) -> int:
    if type(value) is not int or not 1 <= value <= 0xFFFF:
        raise RosterError("a door is no number in 1..65535")
    return value


def _integer(fields: Mapping[str, object], name: str, low: int, high: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not low <= value <= high:
        raise RosterError(f"{name} is no whole number in {low}..{high}")
    return value


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise RosterError(f"{name} is no text")
    return value


def _list(fields: Mapping[str, object], name: str, most: int) -> list[object]:
    value = fields.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise RosterError(f"{name} is no list of at most {most} items")
    return value


def _object(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise RosterError(f"{name} has an item that is no object")
    return value


def _base64(fields: Mapping[str, object], name: str) -> bytes:
    return _decoded(fields.get(name), name)


def _decoded(value: object, name: str) -> bytes:
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise RosterError(f"{name} is not base64")


def _hex(fields: Mapping[str, object], name: str, length: int) -> bytes:
    return bytes.fromhex(_hex_texts([fields.get(name)], length)[0])


def _hex_texts(values: list[object], length: int) -> list[str]:
    texts = [value for value in values if isinstance(value, str) and re.fullmatch(rf"[0-9a-f]{{{2 * length}}}", value)]
    if len(texts) != len(values):
        raise RosterError(f"a value is not {length} bytes in lower-case hex")
    return texts
