from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.sealed_stream import CHUNK_BYTES, OpeningReader, SealingWriter, StreamBroken
from tests.examples import examples

KEY = X25519PrivateKey.generate()
HEAD = 26 + 64
WIRE = CHUNK_BYTES + 16
CONTENT = bytes(range(256)) * 700  # 2.7 chunks


def _sealed(*writes: bytes) -> bytes:
    target = BytesIO()
    writer = SealingWriter(target, KEY.public_key())
    for data in writes:
        writer.write(data)
    writer.close()
    return target.getvalue()


def _opened(sealed: bytes, size: int = -1) -> bytes:
    reader = OpeningReader(BytesIO(sealed), KEY)
    parts = []
    while part := reader.read(size):
        parts.append(part)
    reader.finish()
    return b"".join(parts)


@examples(30)
@given(st.lists(st.sampled_from([0, 1, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1]), max_size=4))
def test_what_was_written_comes_out(sizes: list[int]) -> None:
    content = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    assert _opened(_sealed(*content)) == b"".join(content)


@pytest.mark.parametrize("size", [1000, CHUNK_BYTES, CHUNK_BYTES * 2, -1])
def test_it_can_be_read_in_any_sizes(size: int) -> None:
    assert _opened(_sealed(CONTENT), size) == CONTENT


def test_every_size_but_the_last_is_read_whole() -> None:
    reader = OpeningReader(BytesIO(_sealed(CONTENT)), KEY)
    assert len(reader.read(CHUNK_BYTES + 7)) == CHUNK_BYTES + 7


def test_the_same_content_never_looks_the_same() -> None:
    assert _sealed(b"secret") != _sealed(b"secret")
    assert b"secret" not in _sealed(b"secret")


@pytest.mark.parametrize("position", [0, 30, 60, HEAD, HEAD + 5, HEAD + WIRE + 5, -1])
def test_one_flipped_bit_is_found(position: int) -> None:
    changed = bytearray(_sealed(CONTENT))
    changed[position] ^= 1
    with pytest.raises(StreamBroken):
        _opened(bytes(changed))


@pytest.mark.parametrize("length", [0, 10, HEAD - 1, HEAD, HEAD + 5, HEAD + WIRE, HEAD + 2 * WIRE, -1])
def test_a_stream_that_was_cut_anywhere_is_found(length: int) -> None:
    with pytest.raises(StreamBroken):
        _opened(_sealed(CONTENT)[:length])


def test_a_stream_that_is_followed_by_something_is_found() -> None:
    for more in (b"x", bytes(WIRE)):
        with pytest.raises(StreamBroken):
            _opened(_sealed(CONTENT) + more)


def test_chunks_cannot_change_places_or_be_repeated() -> None:
    sealed = _sealed(CONTENT)
    head, first, second, rest = (
        sealed[:HEAD],
        sealed[HEAD:][:WIRE],
        sealed[HEAD + WIRE :][:WIRE],
        sealed[HEAD + 2 * WIRE :],
    )
    for order in ((second, first, rest), (first, first, second, rest), (second, rest)):
        with pytest.raises(StreamBroken):
            _opened(head + b"".join(order))


def test_a_writer_that_was_never_closed_leaves_nothing_that_opens() -> None:
    target = BytesIO()
    SealingWriter(target, KEY.public_key()).write(CONTENT)
    with pytest.raises(StreamBroken):
        _opened(target.getvalue())


def test_another_key_opens_nothing() -> None:
    with pytest.raises(StreamBroken, match="another key"):
        OpeningReader(BytesIO(_sealed(b"x")), X25519PrivateKey.generate())


def test_a_forged_beginning_is_refused() -> None:
    sealed = bytearray(_sealed(b"x"))
    sealed[HEAD - 32 : HEAD] = bytes(32)
    with pytest.raises(StreamBroken, match="altered"):
        OpeningReader(BytesIO(bytes(sealed)), KEY)
