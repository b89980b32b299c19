import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import DamagedRecordingError
from recorder.seal import (
    BatchCipher,
    SealedKey,
    Signer,
    check_signature,
    generate_recipient,
    next_chain,
    open_data_key,
    seal_data_key,
)
from recorder.testing import FixedRandom
from tests.examples import examples

DATA_KEY = bytes(range(32))


def test_a_sealed_data_key_opens_with_its_private_key_only() -> None:
    private, public = generate_recipient()
    sealed = seal_data_key(DATA_KEY, public, "rec_a", FixedRandom())
    assert open_data_key(sealed, private, "rec_a") == DATA_KEY
    for wrong in (generate_recipient()[0], b"short"):
        with pytest.raises(DamagedRecordingError) as refusal:
            open_data_key(sealed, wrong, "rec_a")
        assert refusal.value.code == "wrong_key"


def test_a_sealed_data_key_cannot_be_moved_to_another_recording() -> None:
    private, public = generate_recipient()
    sealed = seal_data_key(DATA_KEY, public, "rec_a", FixedRandom())
    with pytest.raises(DamagedRecordingError):
        open_data_key(sealed, private, "rec_b")


@pytest.mark.parametrize("part", ["ephemeral_public", "sealed"])
def test_an_altered_sealed_data_key_does_not_open(part: str) -> None:
    private, public = generate_recipient()
    sealed = seal_data_key(DATA_KEY, public, "rec_a", FixedRandom())
    parts = {name: bytearray(getattr(sealed, name)) for name in ("recipient_public", "ephemeral_public", "sealed")}
    parts[part][3] ^= 1
    with pytest.raises(DamagedRecordingError):
        open_data_key(SealedKey(**{name: bytes(value) for name, value in parts.items()}), private, "rec_a")


def test_a_recipient_key_of_small_order_is_refused() -> None:
    with pytest.raises(ValueError, match="shared key"):
        seal_data_key(DATA_KEY, bytes(32), "rec_a", FixedRandom())


def test_the_data_key_is_not_in_the_sealed_form() -> None:
    _, public = generate_recipient()
    sealed = seal_data_key(DATA_KEY, public, "rec_a", FixedRandom())
    assert DATA_KEY not in sealed.sealed + sealed.ephemeral_public
    assert DATA_KEY[:8] not in sealed.sealed


@given(number=st.integers(1, 2**64 - 1), plain=st.binary(max_size=100))
def test_a_batch_decrypts_only_in_its_place(number: int, plain: bytes) -> None:
    cipher = BatchCipher(DATA_KEY, bytes(32))
    body = cipher.encrypt(number, b"c" * 32, b"prelude", plain)
    assert cipher.decrypt(number, b"c" * 32, b"prelude", body) == plain
    elsewhere = BatchCipher(DATA_KEY, b"\1" + bytes(31))
    tries = [
        (cipher, number - 1, b"c" * 32, b"prelude"),
        (cipher, number, b"d" * 32, b"prelude"),
        (cipher, number, b"c" * 32, b"prelude2"),
        (elsewhere, number, b"c" * 32, b"prelude"),
    ]
    for other, place, chain, prelude in tries:
        with pytest.raises(DamagedRecordingError) as refusal:
            other.decrypt(place, chain, prelude, body)
        assert (refusal.value.code, refusal.value.batch) == ("flipped", place)


def test_the_chain_depends_on_every_link_and_their_order() -> None:
    one, two = bytes(32), b"\1" * 32
    assert next_chain(next_chain(one, one), two) != next_chain(next_chain(one, two), one)


@examples(30)
@given(st.binary(max_size=100), st.integers(0, 511))
def test_a_signature_with_any_bit_changed_is_refused(message: bytes, bit: int) -> None:
    signer = Signer.generate(FixedRandom())
    signature = bytearray(signer.sign(message))
    check_signature(signer.public, bytes(signature), message)
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedRecordingError) as refusal:
        check_signature(signer.public, bytes(signature), message)
    assert refusal.value.code == "forged_head"


def test_a_signer_prints_no_private_key() -> None:
    assert "private" not in repr(Signer.generate(FixedRandom())).lower()
