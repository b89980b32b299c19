"""The ssh helper: what ssh calls, up to a real stock ssh through the whole client."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from spa_knock.client import confirming, helper
from spa_knock.client.errors import ClientError
from spa_knock.client.ssh_config import install, write_ssh_files
from spa_knock.wire.receipt import read
from tests.unit.spa_knock.client.conftest import RunningAgent
from tests.unit.spa_knock.client.fake_site import HOST_ALIAS, FakeSite, unanswered_port
from tests.unit.spa_knock.client.test_confirming import wait_for
from tests.unit.spa_knock.client.test_receipts import ended, item


@pytest.fixture
def ssh_site(site: FakeSite) -> Iterator[FakeSite]:
    """The fake site with a real SSH server behind its SSH door: it takes the user authority's certificates only."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    thread = threading.Thread(target=_serve_ssh, args=(loop, site, ready), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield site
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def _serve_ssh(loop: asyncio.AbstractEventLoop, site: FakeSite, ready: threading.Event) -> None:
    def imported(key: object) -> asyncssh.SSHKey:
        data = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())  # type: ignore[attr-defined]
        return asyncssh.import_private_key(data)

    async def run(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write(f"{process.get_extra_info('username')} ran {process.command}\n")
        process.exit(7)

    async def start() -> asyncssh.SSHAcceptor:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        certificate = imported(site.host_ca).generate_host_certificate(host_key, "gate", principals=[HOST_ALIAS])
        user_ca = imported(site.user_ca).export_public_key().decode()
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[(host_key, certificate)],
            authorized_client_keys=asyncssh.import_authorized_keys(f"cert-authority {user_ca}"),
            process_factory=run,
        )

    asyncio.set_event_loop(loop)
    server = loop.run_until_complete(start())
    site.ssh_backend = ("127.0.0.1", server.get_port())
    ready.set()
    loop.run_forever()
    server.close()
    loop.run_until_complete(server.wait_closed())
    loop.run_until_complete(asyncio.sleep(0.1))
    loop.close()


def ssh(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-F", str(config), *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def run_helper(agent_home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spa_knock.client.helper"]
    control = str(agent_home / "run" / "control.sock")
    return subprocess.run([*command, "--control", control, *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def config(agent: RunningAgent, tmp_path: Path) -> Path:
    path = tmp_path / "dot ssh" / "config"
    write_ssh_files(agent.home, agent.home.enrolment().site)
    install(agent.home, path)
    return path


def test_the_first_ssh_after_login_and_approval_works(ssh_site: FakeSite, agent: RunningAgent, config: Path) -> None:
    agent.login()
    ssh_site.approve()
    first = ssh(config, "plc3.plant", "uptime")
    assert (first.stdout, first.stderr, first.returncode) == ("sallyport ran uptime\n", "", 7)
    second = ssh(config, "plc3.plant", "date")
    assert second.stdout == "sallyport ran date\n"
    assert sum("ssh-certificate" in call for call in ssh_site.calls) == 1
    assert not [path for path in agent.home.path.rglob("*") if b"OPENSSH PRIVATE KEY" in _content(path)]


def test_when_ssh_has_ended_its_receipt_is_sent_without_waiting_for_the_next_round(
    ssh_site: FakeSite, agent: RunningAgent, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So far off that nothing but ssh's end can be the reason.
    monkeypatch.setattr(confirming, "FIRST_SECONDS", 3600.0)
    monkeypatch.setattr(confirming, "INTERVAL_SECONDS", 3600.0)
    agent.verbs.confirming.start()
    agent.login()
    grant_id = ssh_site.approve()
    assert ssh(config, "plc3.plant", "uptime").returncode == 7
    enrolment = agent.home.enrolment()
    ours = {"site": enrolment.site.audience.hex(), "device_id": enrolment.device_id}
    ssh_site.due = [item(ended(**ours, target="plc3", grant_id=grant_id))]
    wait_for(lambda: bool(ssh_site.receipts))
    assert read(ssh_site.receipts[0].encode()).receipt.refusal == ""


def test_ssh_refuses_a_site_whose_host_authority_is_another(
    ssh_site: FakeSite, agent: RunningAgent, config: Path
) -> None:
    agent.login()
    ssh_site.approve()
    agent.home.known_hosts_path.write_text("")
    refused = ssh(config, "plc3.plant", "uptime")
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_ssh_without_a_login_says_one_clear_line(agent: RunningAgent, config: Path) -> None:
    refused = ssh(config, "plc3.plant", "true")
    assert refused.returncode == 255
    lines = refused.stderr.strip().splitlines()
    assert lines[0] == ("sally: Not signed in: nobody is, or the session was idle too long. Run: sally login.")
    assert not any("resolve" in line for line in lines)


def test_ssh_without_approval_says_that_it_waits(site: FakeSite, agent: RunningAgent, config: Path) -> None:
    agent.login()
    wish = {"target": "plc3", "reason": "r", "work_order": "w", "duration_seconds": 60}
    agent.ask("call", method="POST", path="/access-requests", body=wish)
    refused = ssh(config, "plc3.plant", "true")
    assert refused.stderr.count("is waiting for approval") == 1
    assert refused.returncode == 255


def test_the_first_lost_ssh_knock_is_made_good(ssh_site: FakeSite, agent: RunningAgent, config: Path) -> None:
    agent.login()
    ssh_site.approve()
    agent.ask("prepare", name="plc3.plant")
    ssh_site.deaf = 1
    assert ssh(config, "plc3.plant", "uptime").stdout == "sallyport ran uptime\n"


def test_prepare_is_quiet_only_when_it_is_told(agent: RunningAgent) -> None:
    loud = run_helper(agent.home.path, "prepare", "plc3.plant")
    assert loud.returncode == 255
    assert loud.stderr.startswith("sally: Not signed in")
    assert loud.stderr.count("\n") == 1
    quiet = run_helper(agent.home.path, "prepare", "--quiet", "plc3.plant")
    assert (quiet.returncode, quiet.stderr, quiet.stdout) == (255, "", "")


def test_a_proxy_that_was_not_started_by_ssh_says_so(site: FakeSite, agent: RunningAgent) -> None:
    agent.login()
    site.approve()
    refused = run_helper(agent.home.path, "proxy", "plc3.plant")
    assert refused.returncode == 255
    assert "ProxyUseFdpass" in refused.stderr


@pytest.mark.parametrize(
    "words", [[], ["dance", "x"], ["prepare"], ["proxy", "--quiet", "x"], ["prepare", "a", "b"], ["--control"]]
)
def test_other_words_are_answered_with_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert helper.main(words) == 255
    assert capsys.readouterr().err.startswith("usage:")


def test_the_helper_needs_no_library_but_pythons() -> None:
    code = (
        "import sys, spa_knock.client.helper\n"
        "heavy = {'cryptography', 'typer', 'asyncio', 'ssl', 'dataclasses', 'ctypes', 'subprocess', 'http'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd())
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_door_that_hangs_up_counts_as_closed(site: FakeSite) -> None:
    knocked: dict[str, object] = {"address": "127.0.0.1", "port": site.port(2), "wait_ms": 100, "proof_b64": "A" * 64}
    assert helper.connect_through(knocked) is None


def test_a_door_that_stays_shut_is_none() -> None:
    with unanswered_port() as port:
        knocked: dict[str, object] = {"address": "127.0.0.1", "port": port, "wait_ms": 200, "proof_b64": "A" * 64}
        assert helper.connect_through(knocked) is None


def test_a_greeting_stays_for_ssh() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        knocked: dict[str, object] = {
            "address": "127.0.0.1",
            "port": listener.getsockname()[1],
            "wait_ms": 2000,
            "proof_b64": "A" * 64,
        }
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        connection = helper.connect_through(knocked)
        assert connection is not None
        with connection:
            assert connection.recv(100) == b"SSH-2.0-x\r\n"
            assert connection.gettimeout() is None


@pytest.mark.parametrize("knocked", [{}, {"address": "::1", "port": 1, "wait_ms": 1, "proof_b64": "!"}])
def test_an_unintelligible_answer_is_refused(knocked: dict[str, object]) -> None:
    with pytest.raises(ClientError, match="does not answer"):
        helper.connect_through(knocked)


def _greet(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        assert len(connection.recv(48)) == 48
        connection.sendall(b"SSH-2.0-x\r\n")
        connection.recv(1)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
