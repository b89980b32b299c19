"""The listener: its server settings, and what it makes of control's answers."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from structlog.testing import capture_logs

from broker.gateway.authority import AdmitRequest, SshProof
from broker.gateway.doorway import ProvenConnection
from broker.gateway.gateway import GatewayConfig, Sessions, TooManySessions
from broker.gateway.local_link import PeerRefused, PeerSilent
from broker.gateway.permits import Admission, BadAnswer, Denial, SessionPermit
from broker.gateway.testing import knock, permit_json
from broker.protocols.ssh.listener import SshListener

PROOF = SshProof(b"c", b"d", b"s", b"i")


class FakeSessions(Sessions):
    def __init__(self, answer: Admission | Denial | Exception) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[AdmitRequest] = []
        self.rejected: list[str] = []

    async def admit(self, request: AdmitRequest) -> Admission | Denial:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def reject(self, admission: Admission, reason: str) -> None:
        self.rejected.append(reason)


@pytest.fixture
def connection() -> Iterator[ProvenConnection]:
    with socket.socket() as sock:
        yield ProvenConnection(sock, "127.0.0.1", 4000, knock()[0])


def admission(**changes: object) -> Admission:
    permit = SessionPermit.from_json({**permit_json(account="root"), **changes})
    return Admission("ses_1", "rec_1", permit, bytes(32))


def listener(answer: Admission | Denial | Exception, folder: Path = Path("/nowhere")) -> SshListener:
    config = GatewayConfig(*(folder / name for name in "abcd"), folder / "k", folder / "c", *([folder] * 4))
    return SshListener(config, FakeSessions(answer))


async def test_the_server_offers_certificates_and_session_channels_only(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "k")
    key.generate_host_certificate(key, "host", principals=["plant"]).write_certificate(tmp_path / "c")
    one = listener(Denial("no", "No."), tmp_path)
    await one.start()
    settings = one._settings
    assert settings is not None
    assert settings.agent_forwarding is False  # asyncssh's default is True
    assert not settings.x11_forwarding
    assert not settings.password_auth
    assert not settings.kbdint_auth
    assert not settings.host_based_auth
    assert not settings.line_editor
    assert settings.gss_host is None
    assert settings.keepalive_interval == 15
    assert settings.login_timeout == 30
    assert b"ssh-ed25519-cert-v01@openssh.com" in settings.server_host_keys
    assert settings.encryption_algs[0] == b"aes128-gcm@openssh.com"
    assert settings.compression_algs == [b"none"]
    assert logging.getLogger("asyncssh").level == logging.WARNING


async def test_a_missing_host_key_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await listener(Denial("no", "No."), tmp_path).start()


async def test_the_request_names_the_knock_and_carries_the_proof(connection: ProvenConnection) -> None:
    one = listener(admission())
    answer = await one._admit(connection, "sallyport", PROOF)
    assert isinstance(answer, Admission)
    sessions = one._sessions
    assert isinstance(sessions, FakeSessions)
    (request,) = sessions.asked
    expected = connection.expectation
    assert request == AdmitRequest(
        "ssh",
        expected.knock_id,
        "dev_1",
        "grt_1",
        "127.0.0.1",
        4000,
        "sallyport",
        expected.signed_knock,
        PROOF,
    )


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Denial("late", "Too late."), "late"),
        (TooManySessions(), "too_many_sessions"),
        (PeerRefused("policy.denied", "No."), "policy.denied"),
        (PeerSilent("gone"), "no_control"),
        (BadAnswer("half"), "no_control"),
        (ValueError("not base64"), "no_control"),
    ],
)
async def test_every_other_answer_is_a_denial(
    connection: ProvenConnection, answer: Denial | Exception, code: str
) -> None:
    with capture_logs():
        denial = await listener(answer)._admit(connection, "sallyport", PROOF)
    assert isinstance(denial, Denial)
    assert denial.code == code


@pytest.mark.parametrize(
    "changes", [{"protocol": "rdp"}, {"device_id": "dev_2"}, {"source": "10.0.0.1"}, {"account": "admin"}]
)
async def test_a_permit_for_something_else_opens_nothing(
    connection: ProvenConnection, changes: dict[str, object]
) -> None:
    one = listener(admission(**changes))
    denial = await one._admit(connection, "root", PROOF)
    assert isinstance(denial, Denial)
    assert denial.code == "permit_mismatch"
    sessions = one._sessions
    assert isinstance(sessions, FakeSessions)
    assert sessions.rejected == ["permit_mismatch"]


async def test_the_permits_account_may_be_used_as_the_name(connection: ProvenConnection) -> None:
    assert isinstance(await listener(admission())._admit(connection, "root", PROOF), Admission)
    changed = replace(connection, source="127.0.0.2")
    assert isinstance(await listener(admission())._admit(changed, "root", PROOF), Denial)
