"""The key schedule: stable, separated by purpose, site and time."""

import hashlib
import hmac

import pytest

from spa_knock.wire.errors import PacketError
from spa_knock.wire.keys import DeviceKeys, audience_of, day_at, day_key, day_of_epoch, epoch_at, gate_key

K_DEV = bytes(range(32))
AUDIENCE = b"plant-01"


def hkdf_by_hand(key: bytes, info: bytes) -> bytes:
    """RFC 5869 with an empty salt, first output block."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def test_the_schedule_is_hkdf_with_the_documented_labels() -> None:
    keys = DeviceKeys.derive(K_DEV, AUDIENCE)
    assert keys.aead == hkdf_by_hand(K_DEV, b"sallyport/aead/v1plant-01")
    assert keys.kid == hkdf_by_hand(K_DEV, b"sallyport/kid/v1plant-01")
    assert keys.proof_base == hkdf_by_hand(K_DEV, b"sallyport/proof/v1plant-01")
    assert day_key(K_DEV, 7) == hkdf_by_hand(K_DEV, b"sallyport/gate-day/v1\0\0\0\x07")
    assert gate_key(K_DEV, 1) == hkdf_by_hand(K_DEV, b"sallyport/gate/v1" + (1).to_bytes(8, "big"))[:8]


def test_another_site_or_epoch_gives_unrelated_values() -> None:
    keys, other = DeviceKeys.derive(K_DEV, AUDIENCE), DeviceKeys.derive(K_DEV, b"plant-02")
    assert len({keys.aead, keys.kid, keys.proof_base, other.aead, other.kid, other.proof_base}) == 6
    assert len({keys.key_id(1), keys.key_id(2), other.key_id(1)}) == 3
    assert keys.key_id(1) == hmac.digest(keys.kid, (1).to_bytes(8, "big"), "sha256")[:8]


def test_an_epoch_lies_in_one_day_and_changes_every_ten_minutes() -> None:
    start_of_day = 20_777 * 86_400
    assert epoch_at(start_of_day + 599) == epoch_at(start_of_day)
    assert epoch_at(start_of_day + 600) == epoch_at(start_of_day) + 1
    for second in (0, 599, 600, 86_399):
        assert day_of_epoch(epoch_at(start_of_day + second)) == day_at(start_of_day + second) == 20_777
    assert day_of_epoch(epoch_at(start_of_day - 1)) == 20_776


def test_the_audience_is_the_start_of_the_roots_key_hash() -> None:
    assert audience_of(b"der") == hashlib.sha256(b"der").digest()[:8]


def test_keys_do_not_show_in_text() -> None:
    keys = DeviceKeys.derive(K_DEV, AUDIENCE)
    assert repr(keys) == "DeviceKeys()"


@pytest.mark.parametrize(("k_dev", "audience"), [(bytes(31), AUDIENCE), (bytes(33), AUDIENCE), (K_DEV, bytes(7))])
def test_keys_of_a_wrong_length_are_refused(k_dev: bytes, audience: bytes) -> None:
    with pytest.raises(PacketError):
        DeviceKeys.derive(k_dev, audience)


def test_site_and_day_keys_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(PacketError):
        day_key(bytes(16), 1)
    with pytest.raises(PacketError):
        gate_key(bytes(16), 1)
