from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.sealing import SealBroken, Sealer, associated_data

_KEY = bytes(range(32))
_BOUND = associated_data("credential", {"target": "tgt_1", "account": "maint"})


@given(st.binary(max_size=300))
def test_what_was_sealed_opens(plaintext: bytes) -> None:
    sealer = Sealer(_KEY)
    assert sealer.open(sealer.seal(plaintext, _BOUND), _BOUND) == plaintext


def test_the_same_secret_never_seals_to_the_same_bytes() -> None:
    sealer = Sealer(_KEY)
    assert sealer.seal(b"secret", _BOUND) != sealer.seal(b"secret", _BOUND)


def test_every_flipped_bit_is_found() -> None:
    sealer = Sealer(_KEY)
    sealed = sealer.seal(b"secret", _BOUND)
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealBroken):
            sealer.open(bytes(altered), _BOUND)


def test_a_secret_does_not_open_for_another_target() -> None:
    sealer = Sealer(_KEY)
    sealed = sealer.seal(b"secret", _BOUND)
    with pytest.raises(SealBroken):
        sealer.open(sealed, associated_data("credential", {"target": "tgt_2", "account": "maint"}))


def test_a_secret_does_not_open_under_another_key() -> None:
    sealed = Sealer(_KEY).seal(b"secret", _BOUND)
    with pytest.raises(SealBroken):
        Sealer(bytes(32)).open(sealed, _BOUND)


@pytest.mark.parametrize("length", [0, 1, 20, 80, 96])
def test_cut_off_bytes_are_refused(length: int) -> None:
    sealer = Sealer(_KEY)
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"", _BOUND)[:length], _BOUND)


def test_fields_cannot_run_into_each_other() -> None:
    assert associated_data("k", {"a": "1", "b": "2"}) != associated_data("k", {"a": '1","b":"2'})


def test_a_key_file_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer.from_file(path)
