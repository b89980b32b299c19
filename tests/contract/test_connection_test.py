"""Connection tests through the real control plane and a real gateway: against Debian's sshd and what is none."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from broker.audit import store as audit_store
from broker.sessions.probing import ProbeResult
from broker.targets.testing import a_target
from tests.contract.live_site import HERE, LiveSite, live_site
from tests.contract.ssh_rig import short_folder

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("ssh-keyscan") or not Path("/usr/sbin/sshd").exists(),
    reason="needs root and sshd",
)


@pytest.fixture(scope="module")
def site() -> Iterator[LiveSite]:
    with short_folder() as folder, live_site(folder) as one:
        yield one


@contextlib.contextmanager
def machine(folder: Path, *options: str) -> Iterator[tuple[int, str, Path]]:
    """Debian's sshd that writes down everything: its port, its host key line, its log."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "key")
    (folder / "key").chmod(0o600)
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress {HERE}\nHostKey {folder}/key\nPidFile none\nUsePAM no\nLogLevel DEBUG1\n"
        + "".join(f"{option}\n" for option in options)
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    log = folder / "log"
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-E", str(log), "-f", str(folder / "config")]) as process:
        try:
            while not log.exists() or b"Server listening" not in log.read_bytes():
                assert process.poll() is None, log.read_text() if log.exists() else "sshd did not start"
            yield port, " ".join(key.export_public_key().decode().split()[:2]), log
        finally:
            process.terminate()


def probe(site: LiveSite, name: str, port: int, host_key: str | None = None) -> ProbeResult:
    site.house.probes._recent.clear()  # the bound on their number has tests of its own
    target = a_target(site.house.database, name=name, address=HERE, port=port, host_key=host_key)
    return site.house.probes.probe_target(site.security.id, target.id)


def entered(site: LiveSite, probe_id: str) -> list[str]:
    """The codes of everything in the trail that names this test."""
    with site.house.database.reading() as session:
        records = list(audit_store.walk(session))
    return [record.code for record in records if probe_id in f"{record.subject}{record.params}"]


def test_the_pinned_key_is_recognised_and_nobody_signs_in(site: LiveSite, tmp_path: Path) -> None:
    with machine(tmp_path) as (port, host_key, log):
        result = probe(site, "right", port, host_key)
        site.until(lambda: re.search(rb"\[preauth\]|Connection (closed|reset)", log.read_bytes()) is not None)
        said = log.read_text()
    assert (result.outcome, result.host_key, result.differs) == ("key_shown", host_key, False)
    assert "kex: host key algorithm: ssh-ed25519" in said
    assert "userauth-request" not in said
    wish = site.firewall.heard[-1]
    assert (wish["type"], wish["address"], wish["port"], wish["seconds"]) == ("egress", HERE, port, 15)
    assert entered(site, result.probe_id) == [
        "targets.target.probed",
        "gateway.event.reported",
        "targets.target.key_matched",
    ]


def test_another_key_than_the_pinned_one_is_found_and_entered(site: LiveSite, tmp_path: Path) -> None:
    with machine(tmp_path) as (port, host_key, _):
        result = probe(site, "changed", port)
    assert (result.host_key, result.differs) == (host_key, True)
    assert entered(site, result.probe_id)[-1] == "targets.target.key_differs"


def test_a_machine_that_only_speaks_what_is_too_old_is_told(site: LiveSite, tmp_path: Path) -> None:
    with machine(tmp_path, "KexAlgorithms diffie-hellman-group1-sha1") as (port, host_key, _):
        result = probe(site, "old", port, host_key)
    assert result.outcome in {"no_common_algorithm", "closed_early"}  # who notices first decides
    assert result.host_key is None


def test_a_closed_port_is_told(site: LiveSite) -> None:
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    result = probe(site, "closed", port)
    assert (result.outcome, result.differs) == ("refused", None)
    assert entered(site, result.probe_id) == ["targets.target.probed", "gateway.event.reported"]


def test_a_machine_that_does_not_answer_is_told_in_time(site: LiveSite) -> None:
    with socket.create_server((HERE, 0), backlog=0) as full, contextlib.ExitStack() as filling:
        # Nobody accepts: once its queue is full, the kernel drops what comes, as a firewall would.
        for _ in range(4):
            sock = filling.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        result = probe(site, "silent", full.getsockname()[1])
    assert result.outcome in {"no_answer", "silent"}
    assert result.host_key is None


def test_what_is_no_ssh_server_is_told(site: LiveSite, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\nprint(server.getsockname()[1], flush=True)\n"
        "peer, _ = server.accept()\npeer.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n' * 1000)\npeer.close()\n"
    )
    with subprocess.Popen(["/usr/bin/python3", str(tmp_path / "web.py")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert probe(site, "web", int(process.stdout.readline())).outcome == "not_the_protocol"
        process.terminate()
