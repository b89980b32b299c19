from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.app.vendor_proof import KnockProofs, UnprovenConnection
from broker.kernel.clock import StandingClock
from tests.unit.broker.app.vendor_laptop import AUDIENCE, Laptop

_NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def _proofs() -> KnockProofs:
    return KnockProofs(AUDIENCE, StandingClock(_NOW))


def test_a_connection_that_its_device_knocked_for_is_taken_once() -> None:
    proofs, laptop = _proofs(), Laptop()
    connection = laptop.connection(laptop.signed_knock(_NOW))
    proofs.check(connection)
    with pytest.raises(UnprovenConnection, match="before"):
        proofs.check(connection)


def test_another_devices_knock_does_not_carry_a_certificate() -> None:
    mine, stolen = Laptop(), Laptop()
    connection = replace(mine.connection(stolen.signed_knock(_NOW)), certificate_der=mine.certificate())
    with pytest.raises(UnprovenConnection, match="did not sign"):
        _proofs().check(connection)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"service": 2}, "site or door"),
        ({"audience": bytes(8)}, "site or door"),
        ({"bind": bytes(32)}, "another key"),
    ],
)
def test_a_knock_for_something_else_is_refused(changes: dict[str, object], complaint: str) -> None:
    laptop = Laptop()
    with pytest.raises(UnprovenConnection, match=complaint):
        _proofs().check(laptop.connection(laptop.signed_knock(_NOW, **changes)))


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_knock_that_is_not_fresh_is_refused(seconds: int) -> None:
    laptop = Laptop()
    with pytest.raises(UnprovenConnection, match="not fresh"):
        _proofs().check(laptop.connection(laptop.signed_knock(_NOW + timedelta(seconds=seconds))))


def test_a_knock_of_another_id_is_refused() -> None:
    laptop = Laptop()
    with pytest.raises(UnprovenConnection, match="another connection"):
        _proofs().check(laptop.connection(laptop.signed_knock(_NOW), knock_id="00" * 12))


@pytest.mark.parametrize("position", range(0, 176, 5))
def test_no_byte_of_the_knock_can_be_changed(position: int) -> None:
    laptop = Laptop()
    signed = bytearray(laptop.signed_knock(_NOW))
    signed[position] ^= 1
    with pytest.raises(UnprovenConnection):
        _proofs().check(laptop.connection(bytes(signed)))


@pytest.mark.parametrize("certificate", [b"", b"junk", bytes(500)])
def test_a_certificate_that_cannot_be_read_is_refused(certificate: bytes) -> None:
    laptop = Laptop()
    connection = replace(laptop.connection(laptop.signed_knock(_NOW)), certificate_der=certificate)
    with pytest.raises(UnprovenConnection, match="cannot be read"):
        _proofs().check(connection)
