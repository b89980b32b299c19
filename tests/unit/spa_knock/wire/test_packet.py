"""The knock packet: exact bytes, exact parsing, and what its signature proves."""

import base64
import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.wire.errors import PacketError, SealError, SignatureError, WireError
from spa_knock.wire.gate import gate_matches
from spa_knock.wire.keys import DeviceKeys, day_key, day_of_epoch, gate_key
from spa_knock.wire.packet import (
    NO_GRANT,
    PACKET_BYTES,
    SIGNED_KNOCK_BYTES,
    Address,
    Body,
    nonce_of_signed,
    open_,
    read_header,
    seal,
    verify_signed,
)
from spa_knock.wire.proof import make_proof
from spa_knock.wire.signature import load_public_key, signer

GOLDEN = Path(__file__).parents[3] / "golden" / "knock_v1.json"
AUDIENCE = b"plant-01"
KEYS = DeviceKeys.derive(bytes(range(32)), AUDIENCE)
DEVICE = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
EPOCH = 2_992_000
GATE_KEY = b"gate-key"
NONCE = b"twelve bytes"
PEER = IPv4Address("198.51.100.7")

addresses = (
    st.none()
    | st.integers(1, (1 << 32) - 1).map(IPv4Address)
    | st.integers(1, (1 << 128) - 1).map(IPv6Address).filter(lambda address: address.ipv4_mapped is None)
)
bodies = st.builds(
    Body,
    service=st.integers(1, 0xFFFF),
    stamp_ms=st.integers(0, (1 << 63) - 1),
    address=addresses,
    ttl_seconds=st.integers(0, 0xFFFF),
    audience=st.binary(min_size=8, max_size=8),
    bind=st.binary(min_size=32, max_size=32),
    grant=st.binary(min_size=16, max_size=16),
    loose_clock=st.booleans(),
)


def a_body(address: Address | None = PEER) -> Body:
    return Body(
        service=2,
        stamp_ms=1_795_200_000_000,
        address=address,
        ttl_seconds=8,
        audience=AUDIENCE,
        bind=bytes(range(32)),
        grant=bytes(range(16)),
    )


def sealed(body: Body) -> bytes:
    return seal(body, KEYS, signer(DEVICE), GATE_KEY, NONCE, EPOCH)


@given(bodies)
def test_every_body_comes_back_from_its_88_bytes(body: Body) -> None:
    assert len(body.encode()) == 88
    assert Body.decode(body.encode()) == body


@given(st.binary(min_size=88, max_size=88) | st.binary(max_size=100))
def test_bytes_that_parse_are_exactly_what_the_body_encodes_to(data: bytes) -> None:
    try:
        body = Body.decode(data)
    except PacketError:
        return
    assert body.encode() == data


@given(bodies, st.integers(0, 87), st.integers(1, 255))
def test_a_changed_body_is_refused_or_means_something_else(body: Body, position: int, change: int) -> None:
    data = bytearray(body.encode())
    data[position] ^= change
    try:
        changed = Body.decode(bytes(data))
    except PacketError:
        return
    assert changed != body
    assert changed.encode() == bytes(data)


@given(bodies)
def test_a_packet_opens_with_the_devices_keys_and_proves_its_signer(body: Body) -> None:
    packet = sealed(body)
    assert len(packet) == PACKET_BYTES
    assert gate_matches(GATE_KEY, packet)
    assert read_header(packet).key_id == KEYS.key_id(EPOCH)
    opened = open_(packet, KEYS)
    assert opened.body == body
    assert opened.header.nonce == NONCE == nonce_of_signed(opened.signed_knock)
    assert len(opened.signed_knock) == SIGNED_KNOCK_BYTES
    assert verify_signed(opened.signed_knock, DEVICE.public_key()) == body


@given(st.integers(0, PACKET_BYTES - 1), st.integers(1, 255))
def test_a_packet_with_any_byte_changed_does_not_open(position: int, change: int) -> None:
    packet = bytearray(sealed(a_body()))
    packet[position] ^= change
    with pytest.raises(SealError):
        open_(bytes(packet), KEYS)


@given(st.binary(max_size=400) | st.binary(min_size=PACKET_BYTES, max_size=PACKET_BYTES))
def test_arbitrary_datagrams_raise_only_wire_errors(data: bytes) -> None:
    with pytest.raises(WireError):
        open_(data, KEYS)


@given(st.binary(max_size=200) | st.binary(min_size=SIGNED_KNOCK_BYTES, max_size=SIGNED_KNOCK_BYTES))
def test_arbitrary_signed_knocks_raise_only_wire_errors(data: bytes) -> None:
    with pytest.raises(WireError):
        verify_signed(data, DEVICE.public_key())


@given(st.integers(0, SIGNED_KNOCK_BYTES - 1), st.integers(1, 255))
def test_no_byte_of_a_signed_knock_can_be_changed(position: int, change: int) -> None:
    evidence = bytearray(open_(sealed(a_body()), KEYS).signed_knock)
    evidence[position] ^= change
    with pytest.raises(SignatureError):
        verify_signed(bytes(evidence), DEVICE.public_key())


def test_a_device_with_a_p256_key_uses_the_same_packet() -> None:
    key: EllipticCurvePrivateKey = generate_ec(SECP256R1())
    packet = seal(a_body(), KEYS, signer(key), GATE_KEY, NONCE, EPOCH)
    assert len(packet) == PACKET_BYTES
    assert verify_signed(open_(packet, KEYS).signed_knock, key.public_key()) == a_body()


def test_another_devices_keys_do_not_open_a_packet() -> None:
    with pytest.raises(SealError):
        open_(sealed(a_body()), DeviceKeys.derive(bytes(32), AUDIENCE))


def test_an_ipv4_mapped_address_has_one_spelling() -> None:
    with pytest.raises(PacketError):
        a_body(IPv6Address("::ffff:198.51.100.7"))
    assert Body.decode(a_body().encode()).address == IPv4Address("198.51.100.7")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "fe80::1%eth0"])  # noqa: S104
def test_an_address_that_names_nobody_is_refused(address: str) -> None:
    with pytest.raises(PacketError):
        a_body(ip_address(address))


def test_a_mapped_unspecified_address_is_refused_on_arrival() -> None:
    data = bytearray(a_body().encode())
    data[12:28] = bytes(10) + b"\xff\xff" + bytes(4)
    with pytest.raises(PacketError):
        Body.decode(bytes(data))


@pytest.mark.parametrize("change", [{"service": 0}, {"service": 1 << 16}, {"stamp_ms": -1}, {"ttl_seconds": -1}])
def test_a_field_out_of_range_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(PacketError):
        replace(a_body(), **change)


def test_a_signer_that_returns_another_length_is_refused() -> None:
    with pytest.raises(PacketError):
        seal(a_body(), KEYS, lambda _message: b"short", GATE_KEY, NONCE, EPOCH)


def golden_cases() -> list[dict[str, str]]:
    cases: list[dict[str, str]] = json.loads(GOLDEN.read_text())["cases"]
    return cases


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case["name"])
def test_the_wire_format_has_not_changed(case: dict[str, str]) -> None:
    k_dev, audience, nonce = (bytes.fromhex(case[name]) for name in ("k_dev", "audience", "nonce"))
    epoch = int(case["epoch"])
    keys = DeviceKeys.derive(k_dev, audience)
    gate = gate_key(day_key(bytes.fromhex(case["site_key"]), day_of_epoch(epoch)), epoch)
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["device_seed"]))
    body = Body(
        service=int(case["service"]),
        stamp_ms=int(case["stamp_ms"]),
        address=ip_address(case["address"]) if case["address"] else None,
        ttl_seconds=int(case["ttl_seconds"]),
        audience=audience,
        bind=bytes.fromhex(case["bind"]),
        grant=bytes.fromhex(case["grant"]) or NO_GRANT,
    )
    packet = seal(body, keys, signer(private), gate, nonce, epoch)
    assert packet.hex() == case["packet"]
    assert body.encode().hex() == case["body"]
    assert make_proof(k_dev, audience, nonce, body.service).hex() == case["proof"]
    public = load_public_key(base64.b64decode(case["device_spki"]))
    assert verify_signed(open_(packet, keys).signed_knock, public) == body
