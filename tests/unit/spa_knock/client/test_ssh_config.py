"""ssh's files: what real ssh makes of them, and the user's own file kept byte for byte."""

import dataclasses
import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home
from spa_knock.client.site import Site
from spa_knock.client.ssh_config import (
    MARK,
    helper_command,
    include_line,
    install,
    is_installed,
    remove,
    render_config,
    render_known_hosts,
    user_config_path,
    with_include,
    without_include,
    write_ssh_files,
)
from tests.unit.spa_knock.client.fake_site import HOST_ALIAS, FakeSite

OWN = "# mine\nHost *\n  User me\n  ForwardAgent yes\n"


@pytest.fixture
def known(site: FakeSite, enrolled: Home) -> Site:
    return dataclasses.replace(enrolled.enrolment().site, host_ca=site.host_ca_line(), host_key_alias=HOST_ALIAS)


@pytest.fixture
def config(enrolled: Home, known: Site, tmp_path: Path) -> Path:
    path = tmp_path / "dot ssh" / "config"
    path.parent.mkdir()
    path.write_text(OWN)
    path.chmod(0o600)
    write_ssh_files(enrolled, known)
    install(enrolled, path)
    return path


def settings(config: Path, name: str) -> dict[str, str]:
    """What `ssh -G` says."""
    done = subprocess.run(["ssh", "-F", str(config), "-G", name], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_real_ssh_understands_the_settings(enrolled: Home, config: Path) -> None:
    found = settings(config, "plc3.plant")
    assert found["user"] == "sallyport"
    assert found["hostname"] == "plc3.plant"
    assert found["identityagent"] == str(enrolled.run_path / "agent.sock")
    assert found["identityfile"] == "none"
    assert found["hostkeyalias"] == HOST_ALIAS
    assert found["userknownhostsfile"] == str(enrolled.known_hosts_path)
    assert found["globalknownhostsfile"] == "none"
    assert found["stricthostkeychecking"] == "true"
    assert found["proxyusefdpass"] == "yes"
    assert found["proxycommand"].endswith("proxy '%n'")
    assert found["forwardagent"] == "no"
    assert found["forwardx11"] == "no"
    assert found["serveraliveinterval"] == "15"
    assert found["preferredauthentications"] == "publickey"


def test_other_hosts_keep_the_users_settings(config: Path) -> None:
    found = settings(config, "plc3.elsewhere")
    assert (found["user"], found["forwardagent"]) == ("me", "yes")
    assert "proxycommand" not in found


def test_the_settings_hold_although_prepare_fails(config: Path) -> None:
    assert settings(config, "plc3.plant")["proxycommand"]


def test_a_name_cannot_leave_its_quotes(enrolled: Home, known: Site, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    path = tmp_path / "config"
    text = render_config(known, enrolled, ["/bin/sh", "-c", "exit 0"])
    path.write_text(text)
    path.chmod(0o600)
    for name in (f"$(touch {witness}).plant", f"';touch {witness};'.plant", f"`touch {witness}`.plant"):
        subprocess.run(["ssh", "-F", str(path), "-G", name], capture_output=True, timeout=20)
    assert not witness.exists()
    assert text.count("'%n'") == 2


def test_a_home_with_spaces_works_and_one_that_ssh_misreads_is_refused(known: Site, tmp_path: Path) -> None:
    spaced = Home(tmp_path / "my home", {})
    spaced.prepare()
    write_ssh_files(spaced, known)
    path = tmp_path / "config"
    install(spaced, path)
    assert settings(path, "plc3.plant")["identityagent"] == str(tmp_path / "my home" / "run" / "agent.sock")
    for name in ('a"b', "a'b", "a%b", "a*b", "a\nb", "$HOME"):
        with pytest.raises(ClientError):
            render_config(known, Home(tmp_path / name, {}), ["/usr/bin/sally-helper"])


def test_the_host_authority_is_trusted_for_the_alias_only(site: FakeSite, known: Site) -> None:
    assert render_known_hosts(known) == f"@cert-authority {HOST_ALIAS} {site.host_ca_line()}\n"
    assert render_known_hosts(dataclasses.replace(known, host_ca=None)) == ""


def test_installing_twice_changes_nothing_and_removing_restores(enrolled: Home, config: Path) -> None:
    installed = config.read_text()
    assert installed.splitlines()[:2] == [MARK, include_line(enrolled)]
    assert (config.parent / "config.before-sally").read_text() == OWN
    assert not install(enrolled, config).changed
    assert config.read_text() == installed
    assert is_installed(enrolled, config)
    assert remove(enrolled, config).changed
    assert config.read_text() == OWN
    assert not remove(enrolled, config).changed
    assert not is_installed(enrolled, config)


def test_an_include_that_slipped_down_is_put_first_again(enrolled: Home, config: Path) -> None:
    config.write_text(OWN + include_line(enrolled) + "\n")
    assert not is_installed(enrolled, config)
    install(enrolled, config)
    assert config.read_text() == f"{MARK}\n{include_line(enrolled)}\n{OWN}"


def test_a_new_file_and_folder_are_private(enrolled: Home, tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    change = install(enrolled, path)
    assert (change.changed, change.backup) == (True, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not remove(enrolled, tmp_path / "absent" / "config").changed


def test_a_linked_file_stays_a_link(enrolled: Home, tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "config"
    real.write_bytes(b"# \xff\n")
    link = tmp_path / "config"
    link.symlink_to(real)
    install(enrolled, link)
    assert link.is_symlink()
    assert real.read_bytes().endswith(b"# \xff\n")


@given(st.text(alphabet=st.sampled_from("ab \t\r\n#\x0b\x0c\x1c\x85\u2028"), max_size=60))
def test_including_and_taking_out_gives_back_every_byte(text: str) -> None:
    line = 'Include "/home/li/.config/sallyport/ssh_config"'
    once = with_include(text, line)
    assert with_include(once, line) == once
    assert without_include(once, line) == text


def test_the_helper_is_a_program_that_exists() -> None:
    assert os.access(helper_command()[0], os.X_OK)


def test_ssh_reads_the_file_in_the_user_databases_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    assert user_config_path().parts[-2:] == (".ssh", "config")
    assert not str(user_config_path()).startswith("/nowhere")
