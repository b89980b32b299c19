"""The framing of local sockets: every message comes back whole, everything else breaks the link."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.link.framing import MAX_MESSAGE_BYTES, Decoder, FramingError, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
messages = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in {"v", "type"}), json_values, max_size=5
).map(lambda fields: {**fields, "type": "sample"})


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@given(st.lists(messages, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_messages_survive_any_cutting_of_the_stream(sent: list[dict[str, object]], steps: list[int]) -> None:
    stream = b"".join(encode(message) for message in sent)
    decoder, received, position, turn = Decoder(), [], 0, 0
    while position < len(stream):
        step = steps[turn % len(steps)]
        received += decoder.feed(stream[position : position + step])
        position, turn = position + step, turn + 1
    assert received == [{"v": 1, **message} for message in sent]
    assert decoder.is_between_messages


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_anything_but_a_framing_error(data: bytes) -> None:
    try:
        received = Decoder().feed(data)
    except FramingError:
        return
    assert all(isinstance(message["type"], str) for message in received)


@given(st.binary(max_size=100))
def test_an_arbitrary_payload_is_a_message_or_a_framing_error(payload: bytes) -> None:
    try:
        received = Decoder().feed(framed(payload))
    except FramingError:
        return
    assert len(received) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b'{"v":1}',
        b'{"type":"x"}',
        b'{"v":2,"type":"x"}',
        b'{"v":true,"type":"x"}',
        b'{"v":1.0,"type":"x"}',
        b'{"v":1,"type":""}',
        b'{"v":1,"type":7}',
        b'{"v":1,"type":"x","n":NaN}',
        b'{"v":1,"type":"x","type":"y"}',
        b'{"v":1,"type":"x","in":{"a":1,"a":2}}',
        b'{"v":1,"type":"\xff"}',
        b"[" * 60_000,
        b'{"v":1,"type":"x","n":' + b"9" * 5_000 + b"}",
    ],
)
def test_a_malformed_message_breaks_the_link_for_good(payload: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(FramingError):
        decoder.feed(framed(payload))
    with pytest.raises(FramingError):
        decoder.feed(encode({"type": "fine"}))
    assert not decoder.is_between_messages


def test_a_length_above_the_limit_is_refused_before_its_payload_arrives() -> None:
    with pytest.raises(FramingError):
        Decoder().feed((MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))


def test_a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    overhead = len(encode({"type": "x", "fill": ""})) - 4
    largest = encode({"type": "x", "fill": "a" * (MAX_MESSAGE_BYTES - overhead)})
    assert len(Decoder().feed(largest)) == 1
    with pytest.raises(FramingError):
        encode({"type": "x", "fill": "a" * (MAX_MESSAGE_BYTES - overhead + 1)})


def test_text_outside_ascii_is_written_as_utf_8() -> None:
    frame = encode({"type": "x", "name": "堡垒"})
    assert "堡垒".encode() in frame
    assert json.loads(frame[4:]) == {"v": 1, "type": "x", "name": "堡垒"}


@pytest.mark.parametrize("message", [{}, {"type": 1}, {"type": "x", "v": 2}, {"type": "x", "n": float("nan")}])
def test_a_message_that_the_peer_would_refuse_is_not_written(message: dict[str, object]) -> None:
    with pytest.raises(FramingError):
        encode(message)


def test_a_value_that_is_not_json_is_not_written() -> None:
    with pytest.raises(FramingError):
        encode({"type": "x", "data": b"bytes"})
