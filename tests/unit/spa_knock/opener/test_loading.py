"""Who would be locked out, and what is carried over; loading itself is in tests/contract."""

import os
import socket
import subprocess
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from spa_knock.opener import loading
from spa_knock.opener.errors import ConfigError
from spa_knock.opener.loading import SshSession, is_kept, ssh_session
from tests.unit.spa_knock.opener.testing import a_config

ADMIN = SshSession(ip_address("10.1.2.3"), ip_address("10.0.0.1"), 8443)


def test_the_session_is_found_in_the_nearest_environment_that_names_one() -> None:
    nearest = [{}, {"SSH_CONNECTION": "fe80::5%eth0 50000 fd00::1 22"}, {"SSH_CONNECTION": "10.9.9.9 1 10.0.0.1 22"}]
    assert ssh_session(lambda: nearest) == SshSession(ip_address("fe80::5"), ip_address("fd00::1"), 22)
    mapped = [{"SSH_CONNECTION": "::ffff:10.1.2.3 50000 ::ffff:10.0.0.1 8443"}]
    assert ssh_session(lambda: mapped) == ADMIN


@pytest.mark.parametrize("text", ["", "10.1.2.3", "a b c d", "10.1.2.3 50000 10.0.0.1 x"])
def test_what_names_no_session_is_none(text: str) -> None:
    assert ssh_session(lambda: [{"SSH_CONNECTION": text}]) is None


@pytest.mark.parametrize(
    ("session", "interface", "expected"),
    [
        (ADMIN, "mgmt0", True),
        (ADMIN, "", True),
        (ADMIN, "out0", False),
        (ADMIN, None, True),
        (replace(ADMIN, port=22), "mgmt0", False),
        (replace(ADMIN, peer=ip_address("192.0.2.5")), "mgmt0", False),
        (replace(ADMIN, peer=ip_address("fd00::7")), "mgmt0", True),
        (replace(ADMIN, peer=ip_address("2001:db8::7")), "mgmt0", False),
        (SshSession(ip_address("127.0.0.1"), ip_address("127.0.0.1"), 22), "lo", True),
    ],
)
def test_who_stays_in_is_decided_by_interface_prefix_and_port(
    session: SshSession, interface: str | None, expected: bool
) -> None:
    assert is_kept(session, a_config(), interface) is expected


def test_rules_that_cut_the_caller_off_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.5 50000 10.0.0.1 22")
    monkeypatch.setattr(loading, "interface_of", lambda _address: "mgmt0")
    with pytest.raises(ConfigError, match="lock you out"):
        loading.require_kept(a_config())
    monkeypatch.setenv("SSH_CONNECTION", "10.1.2.3 50000 10.0.0.1 8443")
    loading.require_kept(a_config())


def test_a_session_hidden_by_sudo_is_found_at_an_ancestor() -> None:
    finished = subprocess.run(
        [
            "/usr/bin/env",
            "SSH_CONNECTION=192.0.2.5 50000 10.0.0.1 22",
            "sh",
            "-c",
            'env -u SSH_CONNECTION "$0" -c "$1"; true',
            "python3",
            "from spa_knock.opener import loading; print(loading.ssh_session(loading.own_environments))",
        ],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "192.0.2.5" in finished.stdout


def test_an_address_is_looked_up_at_its_interface() -> None:
    assert loading.interface_of(ip_address("127.0.0.1")) == "lo"
    assert loading.interface_of(ip_address("203.0.113.77")) is None


def test_nothing_is_confirmed_when_nothing_is_on_trial(tmp_path: Path) -> None:
    assert not loading.confirm(tmp_path)
    (tmp_path / "rules.trial").write_text("token")
    assert loading.confirm(tmp_path)
    assert not loading.confirm(tmp_path)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK") or os.geteuid() != 0, reason="asks the kernel: root only")
def test_without_a_table_nothing_is_carried_over() -> None:
    assert loading.carried_over("no_such_table") == []
