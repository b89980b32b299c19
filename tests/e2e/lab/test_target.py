import hashlib
from pathlib import Path

import pytest

from deploy.demo.lab import BROKER, VENDOR, Lab
from deploy.demo.target import ACCOUNT, DATA_DIR, HOSTNAME, Target

pytestmark = pytest.mark.netns


def _ssh(lab: Lab, target: Target, password: str, command: str, tmp_path: Path) -> tuple[int, str, str]:
    """Log in with the stock client, its password given by an askpass program, its host key pinned."""
    askpass, known_hosts = tmp_path / "askpass", tmp_path / "known_hosts"
    (tmp_path / "password").write_text(password)
    askpass.write_text(f"#!/bin/sh\ncat {tmp_path}/password\n")
    askpass.chmod(0o700)
    known_hosts.write_text(f"{target.address} {target.host_key}\n")
    options = ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}", "NumberOfPasswordPrompts=1"]
    argv = ["ssh", "-F", "none", *(part for option in options for part in ("-o", option))]
    env = {"PATH": "/usr/bin:/bin", "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    done = lab.run(BROKER, [*argv, f"{target.account}@{target.address}", command], env=env, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_stock_client_logs_in_with_the_password_and_finds_the_data(
    lab: Lab, target: Target, tmp_path: Path
) -> None:
    status, out, _ = _ssh(lab, target, target.password, f"id -un; hostname; pwd; ls {DATA_DIR}; exit 7", tmp_path)
    assert status == 7
    assert out.split() == [ACCOUNT, HOSTNAME, f"/home/{ACCOUNT}", *sorted(target.data_files())]


def test_a_wrong_password_is_refused(lab: Lab, target: Target, tmp_path: Path) -> None:
    status, _, error = _ssh(lab, target, "wrong", "true", tmp_path)
    assert status == 255
    assert "Permission denied" in error


def test_what_the_account_writes_stays_in_the_room(lab: Lab, target: Target, tmp_path: Path) -> None:
    status, _, _ = _ssh(lab, target, target.password, f"echo note > {DATA_DIR}/note.txt", tmp_path)
    assert status == 0
    assert target.data_files().pop("note.txt") == "note\n"
    (target.data_dir / "note.txt").unlink()
    assert not Path(DATA_DIR).exists()


def test_the_machines_own_users_and_keys_are_untouched(lab: Lab, target: Target) -> None:
    for name in ("passwd", "shadow", "group"):
        host_file = Path(f"/etc/{name}")
        assert ACCOUNT not in host_file.read_text()
        outside = lab.run(VENDOR, ["sha256sum", str(host_file)]).stdout.split()[0]
        assert outside == hashlib.sha256(host_file.read_bytes()).hexdigest()
    assert not (Path("/home") / ACCOUNT).exists()


def test_the_password_does_not_show_in_the_targets_words(target: Target) -> None:
    assert target.password not in repr(target)
