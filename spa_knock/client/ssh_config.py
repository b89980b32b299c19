"""How stock ssh finds us: ssh_config and known_hosts in the home, and one Include line in the user's file."""

import importlib
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spa_knock.client.errors import ClientError
from spa_knock.client.home import Home, write_private
from spa_knock.client.language import tr
from spa_knock.client.places import AGENT_SOCKET, CONTROL_SOCKET
from spa_knock.client.site import Site

USER = "sallyport"
MARK = "# Sallyport (sally ssh-config); keep it above everything else"
_TROUBLE = frozenset("\"'\\%$*?[]\n\r\0")


@dataclass(frozen=True)
class Change:
    """What was done to the user's ssh configuration."""

    path: Path
    changed: bool
    backup: Path | None


def render_config(site: Site, home: Home, helper: Sequence[str]) -> str:
    """The ssh_config for every target of the site (pure).

    The first block only prepares: its failure must not take the second block away, because ssh would then look the
    name up and go there with other keys. A name with an apostrophe is left alone, so that nothing typed leaves the
    quotes that the shell sees. Raises ClientError for a path that ssh_config cannot hold.
    """
    control, agent = home.run_path / CONTROL_SOCKET, home.run_path / AGENT_SOCKET
    for path in (home.path, home.run_path, *helper):
        _check_path(str(path))
    command = " ".join([*(_quoted(word) for word in helper), "--control", _quoted(str(control))])
    names = f'"*.{site.ssh_domain},!*\'*"'
    lines = [
        f"# Written by sally for {site.name}; every sign-in writes it again.",
        f"Match originalhost {names} exec \"{command} prepare --quiet '%n'\"",
        f"Match originalhost {names}",
        f"  User {USER}",
        f'  IdentityAgent "{agent}"',
        "  IdentityFile none",
        "  IdentitiesOnly no",
        "  AddKeysToAgent no",
        "  PreferredAuthentications publickey",
        "  PubkeyAuthentication yes",
        f"  HostKeyAlias {site.host_key_alias or unknown_alias(site)}",
        f'  UserKnownHostsFile "{home.known_hosts_path}"',
        "  GlobalKnownHostsFile none",
        "  StrictHostKeyChecking yes",
        "  VerifyHostKeyDNS no",
        "  UpdateHostKeys no",
        "  CheckHostIP no",
        "  CanonicalizeHostname no",
        f"  ProxyCommand {command} proxy '%n'",
        "  ProxyUseFdpass yes",
        "  ForwardAgent no",
        "  ForwardX11 no",
        "  PermitLocalCommand no",
        "  ServerAliveInterval 15",
        "  ServerAliveCountMax 3",
        "",
    ]
    return "\n".join(lines)


def render_known_hosts(site: Site) -> str:
    """One line that trusts the site's host authority for its alias; nothing before the first sign-in (pure)."""
    if site.host_ca is None or site.host_key_alias is None:
        return ""
    return f"@cert-authority {site.host_key_alias} {site.host_ca}\n"


def unknown_alias(site: Site) -> str:
    """Until a sign-in has told the alias: a name for which no key is trusted."""
    return f"unknown.{site.ssh_domain}"


def write_ssh_files(home: Home, site: Site) -> None:
    """Writes `ssh_config` and `known_hosts` into the home. Raises ClientError."""
    config = render_config(site, home, helper_command())
    write_private(home.known_hosts_path, render_known_hosts(site).encode())
    write_private(home.ssh_config_path, config.encode())


def helper_command() -> list[str]:
    """How ssh starts the helper: the installed program, or this Python with the module."""
    beside = Path(sys.executable).parent / "sally-helper"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("sally-helper")
    if found is not None:
        return [str(Path(found).absolute())]
    root = str(Path(__file__).resolve().parents[2])
    return ["/usr/bin/env", f"PYTHONPATH={root}", sys.executable, "-P", "-m", "spa_knock.client.helper"]


def user_config_path() -> Path:
    """The file that ssh reads: it takes the home from the user database, not from $HOME."""
    try:
        pwd: Any = importlib.import_module("pwd")
    except ImportError:
        return Path.home() / ".ssh" / "config"
    return Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh" / "config"


def include_line(home: Home) -> str:
    _check_path(str(home.ssh_config_path))
    return f'Include "{home.ssh_config_path}"'


def with_include(text: str, line: str) -> str:
    """The configuration with our two lines first, and nowhere else (pure)."""
    return f"{MARK}\n{line}\n{without_include(text, line)}"


def without_include(text: str, line: str) -> str:
    """The configuration without our two lines; every other byte stays (pure)."""
    kept: list[str] = []
    for one in text.splitlines(keepends=True):
        if one.rstrip("\r\n") == line:
            if kept and kept[-1].rstrip("\r\n") == MARK:
                kept.pop()
            continue
        kept.append(one)
    return "".join(kept)


def is_installed(home: Home, config_path: Path) -> bool:
    """Whether our Include stands above every other setting."""
    try:
        text = _read(config_path)
    except FileNotFoundError:
        return False
    settings = [one.strip() for one in text.splitlines() if one.strip() and not one.strip().startswith("#")]
    ours = include_line(home)
    return ours in settings and all(one.startswith('Include "') for one in settings[: settings.index(ours)])


def install(home: Home, config_path: Path) -> Change:
    """Puts the Include first; a second time changes nothing. The old file is kept beside it. Raises ClientError."""
    if not config_path.parent.exists():
        config_path.parent.mkdir(mode=0o700, parents=True)
    try:
        old: str | None = _read(config_path)
    except FileNotFoundError:
        old = None
    if old is not None and is_installed(home, config_path):
        return Change(config_path, changed=False, backup=None)
    return _replace(config_path, old, with_include(old or "", include_line(home)))


def remove(home: Home, config_path: Path) -> Change:
    """Takes the Include out again. Raises ClientError."""
    try:
        old = _read(config_path)
    except FileNotFoundError:
        return Change(config_path, changed=False, backup=None)
    new = without_include(old, include_line(home))
    if new == old:
        return Change(config_path, changed=False, backup=None)
    return _replace(config_path, old, new)


def _replace(path: Path, old: str | None, new: str) -> Change:
    # The user may keep the file elsewhere and link to it: the link stays, its target changes.
    real = path.resolve()
    backup = None
    mode = 0o600
    if old is not None:
        mode = real.stat().st_mode & 0o755
        backup = real.with_name(f"{real.name}.before-sally")
        write_private(backup, old.encode("utf-8", "surrogateescape"))
    write_private(real, new.encode("utf-8", "surrogateescape"), mode=mode)
    return Change(path, changed=True, backup=backup)


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _quoted(word: str) -> str:
    return shlex.quote(word)


def _check_path(path: str) -> None:
    if _TROUBLE & set(path):
        raise ClientError(
            "home_damaged",
            tr("ssh cannot use the path {path!r}", path=path),
            tr("it holds a character that means something else in ssh's configuration"),
            tr("Choose another folder with SALLY_HOME"),
        )


def as_mapping(change: Change) -> Mapping[str, object]:
    return {
        "file": str(change.path),
        "changed": change.changed,
        "backup": str(change.backup) if change.backup else None,
    }
