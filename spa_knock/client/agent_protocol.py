"""The part of the OpenSSH agent protocol that ssh needs from us (pure): list our certificates, sign a login with one.

draft-ietf-sshm-ssh-agent, sections 3 to 6; certificates as in OpenSSH's PROTOCOL.certkeys. Everything else - adding,
removing, locking, extensions, signing of anything that is not an SSH user authentication - is answered with
SSH_AGENT_FAILURE.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FAILURE = 5
REQUEST_IDENTITIES = 11
IDENTITIES_ANSWER = 12
SIGN_REQUEST = 13
SIGN_RESPONSE = 14

MOST_MESSAGE_BYTES = 64 * 1024
_USERAUTH_REQUEST = 50
_CERTIFICATE_TYPE = b"ssh-ed25519-cert-v01@openssh.com"
_METHODS = frozenset({b"publickey", b"publickey-hostbound-v00@openssh.com"})


class AgentProtocolError(ValueError):
    """The peer does not speak the protocol; its connection is closed."""


@dataclass(frozen=True)
class Identity:
    """One certificate as the agent lists it: its wire blob and a comment for people."""

    blob: bytes
    comment: str


class MessageBuffer:
    """Cuts a byte stream into agent messages (4-byte length, then the message). Bounded."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes. Raises AgentProtocolError for an empty or too long message."""
        self._data += data
        messages: list[bytes] = []
        while len(self._data) >= 4:
            length = int.from_bytes(self._data[:4], "big")
            if not 1 <= length <= MOST_MESSAGE_BYTES:
                raise AgentProtocolError("message length out of range")
            if len(self._data) < 4 + length:
                break
            messages.append(bytes(self._data[4 : 4 + length]))
            del self._data[: 4 + length]
        return messages


def answer(message: bytes, identities: Sequence[Identity], sign: Callable[[bytes], bytes]) -> bytes:
    """The framed answer to one message.

    `identities` in the order in which ssh shall try them; `sign` makes the raw 64-byte Ed25519 signature with the key
    that all of them certify. Hostile bytes get the failure answer; nothing is raised for them.
    """
    try:
        return _frame(_answer(message, identities, sign))
    except _NotReadable:
        return _frame(bytes([FAILURE]))


def _answer(message: bytes, identities: Sequence[Identity], sign: Callable[[bytes], bytes]) -> bytes:
    kind, reader = message[0], _Reader(message[1:])
    if kind == REQUEST_IDENTITIES:
        reader.end()
        listed = b"".join(put_string(one.blob) + put_string(one.comment.encode()) for one in identities)
        return bytes([IDENTITIES_ANSWER]) + len(identities).to_bytes(4, "big") + listed
    if kind == SIGN_REQUEST:
        blob, data = reader.string(), reader.string()
        reader.number()  # flags choose among RSA hashes only
        reader.end()
        if all(one.blob != blob for one in identities) or not is_login(data, blob):
            return bytes([FAILURE])
        signature = put_string(b"ssh-ed25519") + put_string(sign(data))
        return bytes([SIGN_RESPONSE]) + put_string(signature)
    return bytes([FAILURE])


def is_login(data: bytes, blob: bytes) -> bool:
    """Whether `data` is what RFC 4252 section 7 has a client sign to log in with exactly this certificate."""
    reader = _Reader(data)
    try:
        session = reader.string()
        if not 16 <= len(session) <= 64 or reader.byte() != _USERAUTH_REQUEST:
            return False
        reader.string()  # the user name is the gateway's to judge
        if reader.string() != b"ssh-connection":
            return False
        method = reader.string()
        if method not in _METHODS or reader.byte() != 1:
            return False
        if reader.string() != _CERTIFICATE_TYPE or reader.string() != blob:
            return False
        if method != b"publickey":
            reader.string()  # the host key, PROTOCOL section 3.1 of OpenSSH
        reader.end()
    except _NotReadable:
        return False
    return True


def put_string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _frame(message: bytes) -> bytes:
    return put_string(message)


class _NotReadable(Exception):
    pass


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if len(self._data) - self._at < count:
            raise _NotReadable
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def end(self) -> None:
        if self._at != len(self._data):
            raise _NotReadable
