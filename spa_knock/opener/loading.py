"""Loads the base rule set without losing what must outlive it, and without locking out whoever loads it.

Root runs this, as a command of its own; the opener that serves never loads rules. What is loaded on trial is taken back
by a process of its own, unless it is confirmed: it needs neither a service manager nor the connection that may be cut.
"""

import json
import os
import subprocess
import syslog
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from spa_knock.opener import listing
from spa_knock.opener.config import Config
from spa_knock.opener.errors import ConfigError, KernelError
from spa_knock.opener.firewall import Firewall
from spa_knock.opener.netlink import NETLINK_NETFILTER, NETLINK_SOCK_DIAG, Netlink
from spa_knock.opener.ruleset import REVOKED_SET, render

Address = IPv4Address | IPv6Address

TRIAL_SECONDS = 120
_NFT_SECONDS = 30
_MOST_ANCESTORS = 32
_PER_LINE = 256


@dataclass(frozen=True, slots=True)
class SshSession:
    """The SSH connection that the caller works through."""

    peer: Address
    local: Address
    port: int


def ssh_session(environments: Callable[[], list[Mapping[str, str]]]) -> SshSession | None:
    """The SSH connection named in the first of these environments that names one; `sudo` hides it from its child."""
    for environment in environments():
        parts = environment.get("SSH_CONNECTION", "").split()
        if len(parts) != 4:
            continue
        try:
            peer, local = (ip_address(part.partition("%")[0]) for part in (parts[0], parts[2]))
            return SshSession(_plain(peer), _plain(local), int(parts[3]))
        except ValueError:
            continue
    return None


def own_environments() -> list[Mapping[str, str]]:
    """The environment of this process and of its ancestors, as far as they can be read."""
    found: list[Mapping[str, str]] = [os.environ]
    process = os.getppid()
    for _ in range(_MOST_ANCESTORS):
        if process <= 1:
            break
        try:
            raw = Path(f"/proc/{process}/environ").read_bytes()
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        pairs = (item.partition(b"=") for item in raw.split(b"\0") if b"=" in item)
        found.append({name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs})
    return found


def is_kept(session: SshSession, config: Config, interface: str | None) -> bool:
    """Whether the rules let this session's peer in again.

    interface: where the session's own address is; "" when that cannot be told, None when it is nowhere here, so that
    the session runs through another network namespace than the one whose rules these are.
    """
    if session.peer.is_loopback or interface is None:
        return True
    return any(
        session.port in entry.tcp_ports
        and interface in ("", entry.interface)
        and any(session.peer.version == prefix.version and session.peer in prefix for prefix in entry.prefixes)
        for entry in config.management
    )


def require_kept(config: Config) -> None:
    """Raise ConfigError when loading these rules would lock out the SSH session that it is done from."""
    session = ssh_session(own_environments)
    if session is not None and not is_kept(session, config, interface_of(session.local)):
        raise ConfigError(
            f"these rules would lock you out: you are here from {session.peer} over SSH port {session.port}. Add the "
            "port to plant_face.host_ports and the network to plant_face.networks, or work at the machine's own console"
        )


def interface_of(address: Address) -> str | None:
    """The interface that has this address; None when none has it, "" when that cannot be told."""
    try:
        told = subprocess.run(
            ["ip", "-json", "address", "show"], capture_output=True, text=True, timeout=_NFT_SECONDS, check=True
        )
        for link in json.loads(told.stdout):
            if any(ip_address(one["local"]) == address for one in link.get("addr_info", ()) if "local" in one):
                return str(link["ifname"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return ""
    return None


def load(config: Config) -> None:
    """Check the rule set, then put it into the kernel in one transaction.

    Revoked marks and leased ways go over into the new table; open windows do not, and knocks open them again.
    """
    rules = "\n".join([render(config), *carried_over(config.table), ""])
    _nft(["--check", "--file", "-"], rules)
    _nft(["--file", "-"], rules)


def carried_over(table: str) -> list[str]:
    """What the table that is there now holds and the next one must hold too, as commands of nft."""
    try:
        with closing(Netlink(NETLINK_NETFILTER)) as netfilter, closing(Netlink(NETLINK_SOCK_DIAG)) as diagnosis:
            firewall = Firewall(table, netfilter, diagnosis)
            marks, ways = sorted(firewall.revoked_marks()), firewall.leased_ways()
    except KernelError:
        # No table, or one whose sets are not ours: nothing to keep.
        return []
    commands = [
        f"add element inet {table} {REVOKED_SET} {{ {', '.join(map(str, marks[start : start + _PER_LINE]))} }}"
        for start in range(0, len(marks), _PER_LINE)
    ]
    return commands + [
        f"add element inet {table} egress{way.address.version} "
        f"{{ {way.address} . {way.port} timeout {way.milliseconds_left}ms }}"
        for way in ways
        if way.milliseconds_left > 0
    ]


def load_on_trial(config: Config, folder: Path, installed: Path | None) -> None:
    """Load the rules, and take them back after two minutes unless `confirm` was called.

    folder: where it is remembered. installed: a configuration file whose former content comes back with the rules; it
    was moved to the same name with `.before`.
    """
    before = _stateless(config.table)
    token = os.urandom(8).hex()
    load(config)
    _trial_file(folder).write_text(token)
    if os.fork():
        return
    try:
        os.setsid()
        # Nobody shall wait for this process's end, and the terminal may be gone before it.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        _await_confirmation(config.table, folder, token, before, installed)
    finally:
        os._exit(0)


def confirm(folder: Path) -> bool:
    """Keep what was loaded on trial. Returns False when nothing waits for it."""
    try:
        _trial_file(folder).unlink()
    except FileNotFoundError:
        return False
    return True


def _await_confirmation(table: str, folder: Path, token: str, before: str | None, installed: Path | None) -> None:
    until = time.clock_gettime(time.CLOCK_BOOTTIME) + TRIAL_SECONDS
    file = _trial_file(folder)
    while time.clock_gettime(time.CLOCK_BOOTTIME) < until:
        time.sleep(0.2)
        if not _holds(file, token):
            return
    if before is None:
        _nft(["--file", "-"], f"table inet {table} {{ }}\ndelete table inet {table}\n")
    else:
        again = [f"table inet {table} {{ }}", f"delete table inet {table}", before, *carried_over(table), ""]
        _nft(["--file", "-"], "\n".join(again))
    if installed is not None and (former := installed.with_suffix(".before")).exists():
        former.replace(installed)
    file.unlink(missing_ok=True)
    syslog.openlog("sallyport", facility=syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_WARNING, "rules loaded on trial were not confirmed: those from before are back")


def _holds(file: Path, token: str) -> bool:
    try:
        return file.read_text() == token
    except FileNotFoundError:
        return False


def _trial_file(folder: Path) -> Path:
    return folder / "rules.trial"


def _stateless(table: str) -> str | None:
    """The table as it is now, without what its sets hold; None when there is none."""
    with closing(Netlink(NETLINK_NETFILTER)) as netfilter:
        listed = netfilter.dump(listing.list_chains(), "listing chains")
    if not any(listing.read_chain(reply.payload, table) for reply in listed):
        return None
    return _nft(["--stateless", "--terse", "list", "table", "inet", table], "")


def _nft(arguments: list[str], text: str) -> str:
    finished = subprocess.run(
        ["nft", *arguments], input=text, text=True, capture_output=True, check=False, timeout=_NFT_SECONDS
    )
    if finished.returncode != 0:
        raise ConfigError(f"nft refused the rule set: {finished.stderr.strip()}")
    return finished.stdout


def _plain(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
