"""The agent's two sockets: who may use them, what hostile bytes do, and when the agent ends."""

import os
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from spa_knock.client.agent import Server, main
from spa_knock.client.errors import ClientError, Exit
from spa_knock.client.home import Home, locked
from spa_knock.client.language import speaking
from spa_knock.client.launch import control_link
from spa_knock.client.session import Holder
from spa_knock.client.vendor_link import VendorLink
from spa_knock.client.verbs import Verbs
from spa_knock.link.framing import Decoder, encode
from tests.unit.spa_knock.client.conftest import RunningAgent
from tests.unit.spa_knock.client.fake_site import FakeSite


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    connection.connect(str(path))
    return connection


def ssh_add(agent: RunningAgent, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent.home.run_path / "agent.sock")}
    return subprocess.run(["ssh-add", *words], env=environment, capture_output=True, text=True, timeout=20)


def test_the_sockets_are_for_their_owner_alone(agent: RunningAgent) -> None:
    assert stat.S_IMODE(agent.home.run_path.stat().st_mode) == 0o700
    for name in ("agent.sock", "control.sock"):
        assert stat.S_IMODE((agent.home.run_path / name).stat().st_mode) == 0o600


def test_ssh_add_lists_certificates_and_no_key(site: FakeSite, agent: RunningAgent) -> None:
    assert "no identities" in ssh_add(agent, "-l").stdout
    grant_id = site.approve()
    agent.login()
    agent.ask("prepare", name="plc3.plant")
    (line,) = ssh_add(agent, "-l").stdout.splitlines()
    assert line.endswith(f"plc3 {grant_id} (ED25519-CERT)")


def test_ssh_add_can_neither_add_nor_remove_nor_lock(site: FakeSite, agent: RunningAgent, tmp_path: Path) -> None:
    site.approve()
    agent.login()
    agent.ask("prepare", name="plc3.plant")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    assert ssh_add(agent, str(key)).returncode != 0
    assert ssh_add(agent, "-D").returncode != 0
    assert len(ssh_add(agent, "-l").stdout.splitlines()) == 1


def test_the_agent_signs_no_file(site: FakeSite, agent: RunningAgent, tmp_path: Path) -> None:
    site.approve()
    agent.login()
    agent.ask("prepare", name="plc3.plant")
    public = tmp_path / "id.pub"
    public.write_text(ssh_add(agent, "-L").stdout)
    document = tmp_path / "document"
    document.write_text("I owe you")
    environment = {**os.environ, "SSH_AUTH_SOCK": str(agent.home.run_path / "agent.sock")}
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(public), str(document)],
        env=environment,
        capture_output=True,
        timeout=20,
    )
    assert done.returncode != 0


@pytest.mark.parametrize("name", ["agent.sock", "control.sock"])
def test_garbage_ends_its_own_connection_only(agent: RunningAgent, name: str) -> None:
    with connect(agent.home.run_path / name) as connection:
        connection.sendall(b"\xff" * 64)
        assert connection.recv(10) == b""
    assert agent.ask("status")["type"] == "status"


def test_messages_in_pieces_are_put_together(agent: RunningAgent) -> None:
    data = encode({"type": "status"})
    with connect(agent.home.run_path / "control.sock") as connection:
        for at in range(0, len(data), 3):
            connection.sendall(data[at : at + 3])
        (answer,) = Decoder().feed(connection.recv(65_536))
    assert answer["signed_in"] is False


def test_a_failure_inside_is_told_without_its_details(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: VendorLink) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(VendorLink, "reach", broken)
    with connect(agent.home.run_path / "control.sock") as connection:
        connection.sendall(encode({"type": "reach"}))
        (answer,) = Decoder().feed(connection.recv(65_536))
    assert answer["type"] == "failed"
    assert "secret" not in str(answer)


def test_the_agent_answers_in_the_language_of_whoever_asks(agent: RunningAgent) -> None:
    """It was started in another terminal, perhaps in another language."""
    for language, said in (("zh-CN", "尚未登录"), ("en", "Not signed in")):
        with speaking(language), control_link(agent.home) as link, pytest.raises(ClientError) as refused:
            link.ask("prepare", name="plc3.plant")
        assert refused.value.what == said


def test_stop_ends_the_agent_and_its_sockets(enrolled: Home) -> None:
    holder = Holder()
    server = Server(enrolled, Verbs(enrolled, holder), holder)
    ready = threading.Event()
    thread = threading.Thread(target=server.serve, args=(ready.set,))
    thread.start()
    assert ready.wait(5)
    with connect(enrolled.run_path / "control.sock") as connection:
        connection.sendall(encode({"type": "stop"}))
        assert connection.recv(100)
    thread.join(10)
    assert list(enrolled.run_path.iterdir()) == []


def test_an_agent_that_nobody_uses_ends_by_itself(enrolled: Home) -> None:
    holder = Holder()
    Server(enrolled, Verbs(enrolled, holder), holder, unused_seconds=0.0).serve()
    assert list(enrolled.run_path.iterdir()) == []


def test_an_agent_stays_while_a_session_waits_for_its_receipt(enrolled: Home) -> None:
    holder = Holder()
    verbs = Verbs(enrolled, holder)
    verbs.confirming.knocked("grt_1", "plc3")
    server = Server(enrolled, verbs, holder, unused_seconds=0.0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    thread.join(1.5)
    assert thread.is_alive()
    verbs.confirming.ask_now()  # the site does not say that anything runs, but a session may still begin
    assert verbs.confirming.is_waiting
    server.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_a_second_agent_is_refused(
    enrolled: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Hardening would hold for the whole test process.
    monkeypatch.setattr("spa_knock.client.agent.harden", lambda: None)
    monkeypatch.setattr("os.umask", lambda _mask: 0)
    with locked(enrolled):
        assert main(["--home", str(enrolled.path)]) == Exit.FAILED
    assert "already serves" in capsys.readouterr().err


def test_without_a_device_there_is_no_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("spa_knock.client.agent.harden", lambda: None)
    monkeypatch.setattr("os.umask", lambda _mask: 0)
    assert main(["--home", str(tmp_path / "empty")]) == Exit.POSTURE
    assert "not enrolled" in capsys.readouterr().err
