"""The knock packet, wire format v1: exactly 192 bytes in one UDP datagram, all of them looking random.

    0    8  key id     names the device in this epoch (`DeviceKeys.key_id`)
    8   12  nonce      random; AEAD nonce and the knock's identity
   20    4  gate       keyed hash over bytes 0..19 (`gate.gate_tag`)
   24  152  ciphertext ChaCha20-Poly1305 (RFC 8439) of body (88) and signature (64); associated data: bytes 0..23
  176   16  tag

Body, big-endian: version 1 | flags 1 | service 2 | stamp ms 8 | address 16 | ttl s 2 | reserved 2 | audience 8 |
bind 32 | grant 16. Another body layout changes the version inside the ciphertext; another outer layout needs another
port, so nothing can be seen or negotiated down.

The signature covers the clear header and the body, so header || body || signature (176 bytes, the *signed knock*) is
evidence that only the device's owner could make: not the guard, not the host.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from spa_knock.wire.errors import PacketError, SealError
from spa_knock.wire.gate import GATED_BYTES, TAG_BYTES, gate_tag
from spa_knock.wire.keys import AUDIENCE_BYTES, KID_BYTES, DeviceKeys, require_length
from spa_knock.wire.signature import SIGNATURE_BYTES, DevicePublicKey, verify

Address = IPv4Address | IPv6Address

PACKET_BYTES = 192
HEADER_BYTES = GATED_BYTES + TAG_BYTES
NONCE_BYTES = 12
BODY_BYTES = 88
SIGNED_KNOCK_BYTES = HEADER_BYTES + BODY_BYTES + SIGNATURE_BYTES
BIND_BYTES = 32
GRANT_BYTES = 16
NO_GRANT = bytes(GRANT_BYTES)

_VERSION = 1
_FLAG_ADDRESS_FROM_HEADER = 0x01
_FLAG_LOOSE_CLOCK = 0x02
_BODY = struct.Struct(">BBHQ16sHH8s32s16s")
_SIGNING_CONTEXT = b"sallyport knock v1\0"
_UNSPECIFIED = bytes(16)


@dataclass(frozen=True, slots=True)
class Body:
    """What a knock asks for.

    service: door number, 1..65535 (1 vendor face, 2 SSH, 3 RDP). stamp_ms: milliseconds since the epoch, rising with
    every knock of the device. address: who shall be let in; None takes the packet's source, if the device may do that.
    ttl_seconds: wanted window; 0 leaves it to the guard. bind: SHA-256 of the DER SubjectPublicKeyInfo of the key that
    will connect. grant: raw 16 bytes of the grant's id; 16 zero bytes when none is meant. loose_clock: the device says
    that it has no trustworthy clock; the guard decides whether that counts.
    """

    service: int
    stamp_ms: int
    address: Address | None
    ttl_seconds: int
    audience: bytes
    bind: bytes
    grant: bytes = NO_GRANT
    loose_clock: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.service <= 0xFFFF:
            raise PacketError(f"service {self.service} is not in 1..65535")
        if not 0 <= self.stamp_ms < 1 << 63:
            raise PacketError("the time stamp is out of range")
        if not 0 <= self.ttl_seconds <= 0xFFFF:
            raise PacketError(f"a window of {self.ttl_seconds} seconds is not in 0..65535")
        require_length(self.audience, AUDIENCE_BYTES, "audience")
        require_length(self.bind, BIND_BYTES, "bind")
        require_length(self.grant, GRANT_BYTES, "grant")
        if isinstance(self.address, IPv6Address) and (self.address.ipv4_mapped or self.address.scope_id):
            raise PacketError("an IPv4 address must be given as such, and an IPv6 address without a zone")
        if self.address is not None and self.address.is_unspecified:
            raise PacketError("the unspecified address can let nobody in")

    def encode(self) -> bytes:
        """The 88 bytes of the body."""
        flags = (_FLAG_ADDRESS_FROM_HEADER if self.address is None else 0) | (
            _FLAG_LOOSE_CLOCK if self.loose_clock else 0
        )
        return _BODY.pack(
            _VERSION,
            flags,
            self.service,
            self.stamp_ms,
            _packed(self.address),
            self.ttl_seconds,
            0,
            self.audience,
            self.bind,
            self.grant,
        )

    @classmethod
    def decode(cls, body: bytes) -> "Body":
        """The body in these 88 bytes. Raises PacketError for any byte pattern that `encode` would not produce."""
        require_length(body, BODY_BYTES, "body")
        version, flags, service, stamp_ms, address, ttl, reserved, audience, bind, grant = _BODY.unpack(body)
        if version != _VERSION:
            raise PacketError(f"body version {version} is not spoken")
        if flags & ~(_FLAG_ADDRESS_FROM_HEADER | _FLAG_LOOSE_CLOCK) or reserved:
            raise PacketError("reserved bits are set")
        from_header = bool(flags & _FLAG_ADDRESS_FROM_HEADER)
        if from_header != (address == _UNSPECIFIED):
            raise PacketError("the address and its flag disagree")
        return cls(
            service=service,
            stamp_ms=stamp_ms,
            address=None if from_header else _unpacked(address),
            ttl_seconds=ttl,
            audience=audience,
            bind=bind,
            grant=grant,
            loose_clock=bool(flags & _FLAG_LOOSE_CLOCK),
        )


@dataclass(frozen=True, slots=True)
class Header:
    """The clear start of a packet."""

    key_id: bytes
    nonce: bytes
    gate: bytes


@dataclass(frozen=True, slots=True)
class OpenedKnock:
    """A packet that opened with its device's key. The signature is not checked yet: see `verify_signed`."""

    header: Header
    body: Body
    signed_knock: bytes


def read_header(packet: bytes) -> Header:
    """The clear header of a packet. Raises PacketError unless it has exactly 192 bytes."""
    require_length(packet, PACKET_BYTES, "knock")
    return Header(packet[:KID_BYTES], packet[KID_BYTES:GATED_BYTES], packet[GATED_BYTES:HEADER_BYTES])


def seal(
    body: Body, device_keys: DeviceKeys, sign: Callable[[bytes], bytes], gate_key: bytes, nonce: bytes, epoch: int
) -> bytes:
    """The 192-byte packet.

    sign: the device key's signature function, 64 bytes (`signature.signer`, or a TPM's). gate_key: the gate key of
    `epoch`. nonce: 12 fresh random bytes; using one twice with the same device keys breaks the encryption.
    """
    require_length(nonce, NONCE_BYTES, "nonce")
    clear = device_keys.key_id(epoch) + nonce
    header = clear + gate_tag(gate_key, clear)
    body_bytes = body.encode()
    signature = sign(_SIGNING_CONTEXT + header + body_bytes)
    require_length(signature, SIGNATURE_BYTES, "signature")
    return header + ChaCha20Poly1305(device_keys.aead).encrypt(nonce, body_bytes + signature, header)


def open_(packet: bytes, device_keys: DeviceKeys) -> OpenedKnock:
    """Decrypt a packet with the keys of the device that its key id names.

    Raises PacketError for a wrong length or body, SealError when the encryption does not open. Checks neither gate,
    signature, time, audience nor address.
    """
    header = read_header(packet)
    clear = packet[:HEADER_BYTES]
    try:
        plain = ChaCha20Poly1305(device_keys.aead).decrypt(header.nonce, packet[HEADER_BYTES:], clear)
    except InvalidTag as error:
        raise SealError("the packet was not sealed with this device's key") from error
    return OpenedKnock(header, Body.decode(plain[:BODY_BYTES]), clear + plain)


def verify_signed(signed_knock: bytes, public_key: DevicePublicKey) -> Body:
    """The body of a signed knock (176 bytes: header, body, signature), once the device's signature was checked.

    Raises PacketError when it is malformed, SignatureError when the key did not sign it.
    """
    require_length(signed_knock, SIGNED_KNOCK_BYTES, "signed knock")
    message, signature = signed_knock[:-SIGNATURE_BYTES], signed_knock[-SIGNATURE_BYTES:]
    verify(public_key, signature, _SIGNING_CONTEXT + message)
    return Body.decode(message[HEADER_BYTES:])


def nonce_of(packet: bytes) -> bytes:
    """The nonce of a packet that has at least its clear header."""
    return packet[KID_BYTES:GATED_BYTES]


def nonce_of_signed(signed_knock: bytes) -> bytes:
    """The nonce (12 bytes; its hex form is the knock's id) inside a signed knock."""
    require_length(signed_knock, SIGNED_KNOCK_BYTES, "signed knock")
    return signed_knock[KID_BYTES:GATED_BYTES]


def _packed(address: Address | None) -> bytes:
    match address:
        case None:
            return _UNSPECIFIED
        case IPv4Address():
            return bytes(10) + b"\xff\xff" + address.packed
        case IPv6Address():
            return address.packed


def _unpacked(packed: bytes) -> Address:
    address = IPv6Address(packed)
    return address.ipv4_mapped or address
