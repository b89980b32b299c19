"""A device key behind a passphrase."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client.fields import FieldError
from spa_knock.client.locked_key import WrongPassphrase, is_locked, lock, unlock

KEY = Ed25519PrivateKey.generate()
LOCKED = lock(KEY, "correct horse", cost=2)


def test_the_key_comes_back_with_its_passphrase_and_no_other() -> None:
    assert unlock(LOCKED, "correct horse").private_bytes_raw() == KEY.private_bytes_raw()
    for wrong in ("", "correct hors", "Correct horse", "x" * 5000):
        with pytest.raises(WrongPassphrase):
            unlock(LOCKED, wrong)


def test_nothing_of_the_key_or_the_passphrase_stands_in_the_file() -> None:
    assert KEY.private_bytes_raw() not in LOCKED
    assert b"horse" not in LOCKED
    assert lock(KEY, "correct horse", cost=2) != LOCKED
    assert is_locked(LOCKED)
    assert not is_locked(b"-----BEGIN PRIVATE KEY-----")


def test_the_cost_of_a_guess_is_not_small() -> None:
    assert json.loads(lock(KEY, "correct horse"))["n"] == 65_536


@pytest.mark.parametrize("passphrase", ["", "1234567", "x" * 1025])
def test_a_short_or_endless_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(ValueError, match="8 to 1024"):
        lock(KEY, passphrase)


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"kdf": "none"}, {"n": 1 << 30}, {"n": 3}, {"r": 9}, {"p": 2}, {"salt_b64": "AA=="}, {"box_b64": None}],
)
def test_a_file_of_another_kind_is_told_apart_from_a_wrong_passphrase(change: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        unlock(json.dumps({**json.loads(LOCKED), **change}).encode(), "correct horse")


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_else(content: bytes) -> None:
    with pytest.raises((FieldError, WrongPassphrase)):
        unlock(b"{" + content, "correct horse")
