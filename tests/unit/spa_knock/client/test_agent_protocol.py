"""The agent protocol: whole messages from any cutting, certificates only, logins only, failure for everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client.agent_protocol import (
    FAILURE,
    IDENTITIES_ANSWER,
    MOST_MESSAGE_BYTES,
    REQUEST_IDENTITIES,
    SIGN_REQUEST,
    SIGN_RESPONSE,
    AgentProtocolError,
    Identity,
    MessageBuffer,
    answer,
    is_login,
    put_string,
)

CERTIFICATE = put_string(b"ssh-ed25519-cert-v01@openssh.com") + b"blob"
IDENTITY = Identity(CERTIFICATE, "plc3")
REFUSED = b"\0\0\0\1" + bytes([FAILURE])


def sign(data: bytes) -> bytes:
    return b"s" * 64


def login(
    *,
    session: bytes = b"i" * 32,
    kind: int = 50,
    service: bytes = b"ssh-connection",
    method: bytes = b"publickey",
    signed: int = 1,
    algorithm: bytes = b"ssh-ed25519-cert-v01@openssh.com",
    blob: bytes = CERTIFICATE,
    rest: bytes = b"",
) -> bytes:
    return (
        put_string(session)
        + bytes([kind])
        + put_string(b"sallyport")
        + put_string(service)
        + put_string(method)
        + bytes([signed])
        + put_string(algorithm)
        + put_string(blob)
        + rest
    )


def request(data: bytes, blob: bytes = CERTIFICATE, flags: bytes = bytes(4)) -> bytes:
    return bytes([SIGN_REQUEST]) + put_string(blob) + put_string(data) + flags


def test_identities_are_listed_in_their_order() -> None:
    other = Identity(b"other", "hmi1")
    listed = answer(bytes([REQUEST_IDENTITIES]), [IDENTITY, other], sign)
    expected = (
        bytes([IDENTITIES_ANSWER])
        + (2).to_bytes(4, "big")
        + put_string(CERTIFICATE)
        + put_string(b"plc3")
        + put_string(b"other")
        + put_string(b"hmi1")
    )
    assert listed == put_string(expected)


def test_a_login_with_a_listed_certificate_is_signed() -> None:
    answered = answer(request(login()), [IDENTITY], sign)
    signature = put_string(b"ssh-ed25519") + put_string(b"s" * 64)
    assert answered == put_string(bytes([SIGN_RESPONSE]) + put_string(signature))


def test_a_host_bound_login_is_signed() -> None:
    data = login(method=b"publickey-hostbound-v00@openssh.com", rest=put_string(b"host key"))
    assert answer(request(data), [IDENTITY], sign) != REFUSED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSHSIG anything",
        login(session=b"short"),
        login(kind=51),
        login(service=b"ssh-userauth"),
        login(method=b"password"),
        login(signed=0),
        login(algorithm=b"ssh-ed25519"),
        login(blob=b"another"),
        login(rest=b"more"),
        login(method=b"publickey-hostbound-v00@openssh.com"),
    ],
)
def test_nothing_but_a_login_is_signed(data: bytes) -> None:
    assert not is_login(data, CERTIFICATE)
    assert answer(request(data), [IDENTITY], sign) == REFUSED


def test_a_certificate_that_is_not_listed_does_not_sign() -> None:
    assert answer(request(login()), [], sign) == REFUSED


@pytest.mark.parametrize("kind", [1, 9, 17, 18, 19, 20, 22, 23, 25, 26, 27, 255])
def test_every_other_request_fails(kind: int) -> None:
    assert answer(bytes([kind]) + put_string(b"x"), [IDENTITY], sign) == REFUSED


@given(st.binary(min_size=1, max_size=300))
def test_hostile_messages_get_an_answer_and_never_a_signature(data: bytes) -> None:
    answered = answer(data, [IDENTITY], sign)
    assert answered[4] in (FAILURE, IDENTITIES_ANSWER)
    assert int.from_bytes(answered[:4], "big") == len(answered) - 4


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_a_changed_login_is_signed_only_when_it_is_still_a_login(tail: bytes, position: int, byte: int) -> None:
    data = bytearray(login())
    data[position % len(data)] = byte
    changed = bytes(data) + tail
    signed = answer(request(changed), [IDENTITY], sign)[4] == SIGN_RESPONSE
    assert signed == is_login(changed, CERTIFICATE)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 9))
def test_messages_survive_any_cutting(messages: list[bytes], step: int) -> None:
    stream = b"".join(put_string(message) for message in messages)
    buffer, received = MessageBuffer(), []
    for at in range(0, len(stream), step):
        received += buffer.feed(stream[at : at + step])
    assert received == messages


@pytest.mark.parametrize("length", [0, MOST_MESSAGE_BYTES + 1, 2**32 - 1])
def test_a_length_out_of_range_breaks_the_connection(length: int) -> None:
    with pytest.raises(AgentProtocolError):
        MessageBuffer().feed(length.to_bytes(4, "big"))
