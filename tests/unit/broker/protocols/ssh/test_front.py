"""The engineer's side: who is let in, and the places of asyncssh that this relies on."""

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator
from hashlib import sha256

import asyncssh
import pytest
from asyncssh.public_key import CERT_TYPE_USER

from broker.gateway import contract as c
from broker.gateway.authority import SshProof
from broker.gateway.channels import ChannelKind, Terminal
from broker.gateway.doorway import ProvenConnection
from broker.gateway.machine import MAX_CHANNELS
from broker.gateway.permits import Denial
from broker.gateway.testing import knock
from broker.protocols.ssh import options
from broker.protocols.ssh.front import FrontConnection, FrontServer, FrontSession
from broker.protocols.ssh.legs import SshLegs

CA = asyncssh.generate_private_key("ssh-ed25519")
KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
async def front() -> AsyncIterator[FrontConnection]:
    """A connection that expects KEY; control denies everybody and counts in `asked`."""
    settings = await asyncssh.SSHServerConnectionOptions.construct(
        None, config=None, server_host_keys=[CA], gss_host=None, x509_trusted_certs=None
    )
    expected, _ = knock(bind=sha256(KEY.export_public_key("pkcs8-der")).digest())
    left, right = socket.socketpair()
    asked: list[SshProof] = []

    async def admit(username: str, proof: SshProof) -> SshLegs | Denial:
        asked.append(proof)
        return Denial("no", "No.\nReally.")

    loop = asyncio.get_running_loop()
    one = FrontConnection(loop, settings, ProvenConnection(left, "127.0.0.1", 4000, expected), admit)
    one._login_timer.cancel()  # type: ignore[union-attr]
    one._peer_addr = "127.0.0.1"
    one._owner = FrontServer(one)
    one.asked = asked  # type: ignore[attr-defined]
    yield one
    left.close()
    right.close()


def certificate(key: asyncssh.SSHKey = KEY, **options: object) -> asyncssh.SSHCertificate:
    return CA.generate_user_certificate(key, "dev_1", **{"principals": ["sallyport"], "valid_before": "+1h", **options})


def test_an_answer_to_begin_auth_that_is_not_true_would_let_everybody_in() -> None:
    server = FrontServer.__new__(FrontServer)
    assert server.begin_auth("anybody") is True
    source = inspect.getsource(asyncssh.SSHServerConnection._finish_userauth)
    assert "if not result:\n                await self.send_userauth_success()" in source


@pytest.mark.parametrize("username", ["sallyport", "root"])
async def test_the_certificate_of_the_knock_is_taken(front: FrontConnection, username: str) -> None:
    assert await front._validate_openssh_certificate(username, certificate()) == KEY.convert_to_public()


async def test_a_certificate_without_principals_is_refused_though_asyncssh_takes_it(front: FrontConnection) -> None:
    nobody = certificate(principals=[])
    nobody.validate(CERT_TYPE_USER, "anybody")  # the trap: no error
    assert await front._validate_openssh_certificate("sallyport", nobody) is None


@pytest.mark.parametrize(
    "options",
    [
        {"principals": ["somebody"]},
        {"valid_after": "-2h", "valid_before": "-1h"},
        {"source_address": ["10.9.9.9"]},
        {"key": asyncssh.generate_private_key("ssh-ed25519")},
    ],
)
async def test_other_certificates_are_refused(front: FrontConnection, options: dict[str, object]) -> None:
    assert await front._validate_openssh_certificate("sallyport", certificate(**options)) is None


async def test_a_host_certificate_is_refused(front: FrontConnection) -> None:
    host = CA.generate_host_certificate(KEY, "x", principals=["sallyport"])
    assert await front._validate_openssh_certificate("sallyport", host) is None


async def test_a_bare_key_is_refused(front: FrontConnection) -> None:
    assert not await front.validate_public_key("sallyport", KEY.public_data, b"", b"")
    assert await front._validate_client_public_key("sallyport", KEY.public_data) is None
    assert await front._validate_x509_certificate_chain("sallyport", None) is None


async def test_control_is_asked_once_and_only_with_a_signature_that_holds(front: FrontConnection) -> None:
    front._session_id = b"s" * 32
    said: list[str] = []
    front.send_auth_banner = lambda msg, lang="": said.append(msg)  # type: ignore[method-assign]
    blob = certificate().public_data
    assert await front.validate_public_key("sallyport", blob, b"", b"")  # the probe
    assert not await front.validate_public_key("sallyport", blob, b"message", KEY.sign(b"else", b"ssh-ed25519"))
    signed = len(front._session_id).to_bytes(4, "big") + front._session_id + b"message"
    signature = KEY.sign(signed, b"ssh-ed25519")
    for _ in range(2):
        assert not await front.validate_public_key("sallyport", blob, b"message", signature)
    assert front.asked == [SshProof(blob, signed, signature, front._session_id)]  # type: ignore[attr-defined]
    assert said == ["Sallyport: No. Really. 访问不被允许。\r\n"]


async def test_tries_are_bounded(front: FrontConnection) -> None:
    for _ in range(options.MAX_AUTH_TRIES):
        assert not await front.validate_public_key("sallyport", KEY.public_data, b"", b"")
    with pytest.raises(asyncssh.DisconnectError):
        await front.validate_public_key("sallyport", KEY.public_data, b"", b"")


async def test_channels_need_a_session_and_are_bounded(front: FrontConnection) -> None:
    server = FrontServer(front)
    with pytest.raises(asyncssh.ChannelOpenError, match="no session"):
        server.session_requested()
    front.legs = SshLegs()
    front._transport = object()  # type: ignore[assignment]
    for number in range(MAX_CHANNELS):
        channel, session = server.session_requested()
        session.connection_made(channel)
        assert front.legs.channel_count == number + 1
    with pytest.raises(asyncssh.ChannelOpenError, match="too many"):
        server.session_requested()


def test_what_is_no_session_channel_is_refused_by_default() -> None:
    server = FrontServer.__new__(FrontServer)
    assert not server.connection_requested("10.0.0.1", 22, "x", 1)
    assert not server.server_requested("", 0)
    assert not server.unix_connection_requested("/x")
    assert not server.unix_server_requested("/x")
    assert not server.tun_requested(0)
    assert not server.tap_requested(0)
    assert not server.password_auth_supported()


class Channel:
    def __init__(self, environment: dict[bytes, bytes]) -> None:
        self.environment = environment

    def get_environment_bytes(self) -> dict[bytes, bytes]:
        return self.environment


async def test_a_request_becomes_one_event_with_what_may_pass() -> None:
    fed: list[c.Event] = []
    legs = SshLegs()
    legs.attach(None, fed.append)  # type: ignore[arg-type]
    session = FrontSession(legs)
    session.connection_made(Channel({b"LANG": b"C", b"LD_PRELOAD": b"/x"}))  # type: ignore[arg-type]
    assert session.pty_requested("xterm\x1b", (80, 24, 0, 99_999), {1: 3})
    assert session.exec_requested("scp -t /x")
    assert fed == []  # not before asyncssh has answered the request
    session.session_started()
    terminal = Terminal("xterm ", 80, 24, 0, 65_535, {1: 3})
    assert fed == [c.ChannelRequested(1, ChannelKind.FILE_COMMAND, "scp -t /x", terminal, (("LANG", "C"),))]


async def test_an_empty_command_is_a_shell() -> None:
    fed: list[c.Event] = []
    legs = SshLegs()
    legs.attach(None, fed.append)  # type: ignore[arg-type]
    session = FrontSession(legs)
    session.connection_made(Channel({}))  # type: ignore[arg-type]
    session.exec_requested("")
    session.session_started()
    assert fed == [c.ChannelRequested(1, ChannelKind.SHELL)]
