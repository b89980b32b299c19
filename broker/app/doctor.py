"""`sallyport doctor`: what can be checked on the broker's host, and what to do about it.

Each check gathers values and gives them to a judgement that is pure. Run it as root: it reads every process's files,
and asks the database as the control plane's user.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncssh
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_identity,
    load_ssh_public_key,
)
from sqlalchemy.exc import SQLAlchemyError

from broker.adapters.sealing import SealBroken
from broker.app import alive, clock_check, firewall_check, keys, migrations, object_store
from broker.app.finding import Finding, State
from broker.app.layout import Folder, Layout
from broker.app.settings import Settings, SettingsError, load

_WARN_DAYS: Final = 30
_GIB: Final = 1024**3
_FREE_FAILED: Final = _GIB
_FREE_WARNING: Final = 10 * _GIB
_SOCKETS: Final = (
    *("opener-guard", "opener-control", "opener-gateway"),
    *("knock-link", "knock-status", "knocks", "authority", "vendor", "cut"),
)


def examine(config: Path, now: datetime) -> list[Finding]:
    """Every finding, in the order in which a fault should be looked for."""
    try:
        settings = load(config)
    except SettingsError as error:
        return [Finding("settings", State.FAILED, str(error), f"Correct {config}")]
    layout = Layout.of(settings)
    findings = [Finding("settings", State.OK, f"site {settings.site.name}, from {config}")]
    if not layout.site_root.exists():
        missing = f"{layout.site_root} does not exist"
        return [*findings, Finding("keys", State.FAILED, missing, "Make the site's keys: sallyport init")]
    checks: Sequence[Callable[[], list[Finding]]] = (
        lambda: _folders(settings, layout),
        lambda: _private_files(settings, layout),
        lambda: [judge_offline(layout.offline / "site-root.key", os.path.lexists)],
        lambda: _keys(layout),
        lambda: [judge_expiry(name, ends_at, now) for name, ends_at in expiries(layout)],
        lambda: [_database(settings, layout)],
        lambda: [judge_space(*_space(layout.recordings))],
        lambda: [judge_unmask_keys(settings.recordings.unmask_keys)],
        lambda: object_store.examine(settings, layout),
        lambda: clock_check.examine(now, _certificate(layout.site_root).not_valid_before_utc),
        lambda: firewall_check.examine(settings, layout),
        lambda: _answers(settings, layout),
    )
    for check in checks:
        try:
            findings += check()
        except OSError as error:
            found = f"{error.filename or 'a file'}: {error.strerror}"
            findings.append(Finding("files", State.FAILED, found, "Run it as root; restore what is missing"))
    return findings


def failures(findings: Sequence[Finding]) -> list[Finding]:
    """Those that make the host unfit; warnings do not."""
    return [finding for finding in findings if finding.state is State.FAILED]


def _folders(settings: Settings, layout: Layout) -> list[Finding]:
    wanted = layout.folders(settings)
    wrong = [finding for folder in wanted if (finding := judge_folder(folder, _stat(folder.path))) is not None]
    return wrong or [Finding("folders", State.OK, f"{len(wanted)} folders with the owners and modes they need")]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def judge_folder(folder: Folder, found: os.stat_result | None) -> Finding | None:
    """What is wrong with a folder; None when nothing is."""
    if found is None or not stat.S_ISDIR(found.st_mode):
        return Finding("folders", State.FAILED, f"{folder.path} is no folder", "Start the site; else restore it")
    mode = stat.S_IMODE(found.st_mode)
    if (found.st_uid, found.st_gid, mode) == (folder.uid, folder.gid, folder.mode):
        return None
    return Finding(
        "folders",
        State.FAILED,
        f"{folder.path} is {found.st_uid}:{found.st_gid} {mode:04o}, not {folder.uid}:{folder.gid} {folder.mode:04o}",
        f"chown {folder.uid}:{folder.gid} {folder.path} && chmod {folder.mode:04o} {folder.path}",
    )


def _private_files(settings: Settings, layout: Layout) -> list[Finding]:
    wrong = []
    users = settings.users
    owned = ((layout.control, users.control), (layout.gateway, users.gateway), (layout.archive, users.archive))
    for folder, uid in owned:
        for path in sorted(folder.iterdir()):
            finding = judge_private_file(path, path.lstat(), uid)
            if finding is not None:
                wrong.append(finding)
    return wrong or [Finding("private files", State.OK, "each belongs to its process alone")]


def judge_private_file(path: Path, found: os.stat_result, uid: int) -> Finding | None:
    """What is wrong with a file in a process's own folder (which shuts others out as well); None when nothing is."""
    secret = path.suffix in {".key", ".sealed"} or path.name == "ssh_host_key"
    too_open = secret and stat.S_IMODE(found.st_mode) & 0o077
    if found.st_uid == uid and not too_open:
        return None
    words = f"{path} is of user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}"
    do = f"chown {uid}:{uid} {path}" + (f" && chmod 0600 {path}" if secret else "")
    return Finding("private files", State.FAILED, words, do)


def judge_offline(path: Path, exists: Callable[[Path], bool]) -> Finding:
    """Whether the site root's key still lies on this machine."""
    if not exists(path):
        return Finding("site root key", State.OK, "not on this machine")
    do = "Move it to offline storage; the running site never needs it"
    return Finding("site root key", State.WARNING, f"{path} lies on this machine", do)


def _keys(layout: Layout) -> list[Finding]:
    vendor, console = layout.gateway / "front", layout.control / "plant-face"
    checks: dict[str, Callable[[], str]] = {
        "vendor face key": lambda: _leaf_holds(layout, vendor.with_suffix(".pem"), vendor.with_suffix(".key")),
        "console key": lambda: _leaf_holds(layout, console.with_suffix(".pem"), console.with_suffix(".key")),
        "SSH door key": lambda: _host_key_holds(layout),
        "authorities": lambda: _authorities_hold(layout),
    }
    return [_key_finding(name, check) for name, check in checks.items()]


def _key_finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        problem = check()
    except (ValueError, TypeError, SealBroken, InvalidSignature, asyncssh.KeyImportError) as error:
        problem = f"unusable: {type(error).__name__} {error}".rstrip()
    if not problem:
        return Finding(name, State.OK, "present and matching")
    return Finding(name, State.FAILED, problem, "Restore this folder from the backup that belongs to the database")


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _leaf_holds(layout: Layout, chain: Path, key: Path) -> str:
    leaf = _certificate(chain)
    leaf.verify_directly_issued_by(_certificate(layout.site_root))
    private = load_pem_private_key(key.read_bytes(), None)
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*spki) != leaf.public_key().public_bytes(*spki):
        return f"{key} is not the key of {chain}"
    return ""


def _host_certificate(layout: Layout) -> SSHCertificate:
    found = load_ssh_public_identity((layout.gateway / "ssh_host_key-cert.pub").read_bytes())
    if not isinstance(found, SSHCertificate):
        raise TypeError("ssh_host_key-cert.pub is no certificate")
    return found


def _host_key_holds(layout: Layout) -> str:
    certificate = _host_certificate(layout)
    key = load_ssh_private_key((layout.gateway / "ssh_host_key").read_bytes(), None)
    certificate.verify_cert_signature()
    if certificate.public_key() != key.public_key():
        return "the host certificate is of another key"
    if certificate.signature_key() != load_ssh_public_key(layout.host_authority.read_bytes()):
        return "the host certificate is signed by another authority"
    return ""


def _authorities_hold(layout: Layout) -> str:
    opened = keys.open_control_keys(layout)
    device = x509.load_pem_x509_certificate(opened.device_authority_pem).public_key()
    if opened.device_authority_key.public_key() != device:
        return "the sealed device authority is not the one of device-ca.pem"
    if opened.user_authority.public_data != asyncssh.read_public_key(layout.user_authority).public_data:
        return "the sealed SSH user authority is not the one of ssh-user-ca.pub"
    return ""


def expiries(layout: Layout) -> list[tuple[str, datetime]]:
    """When each certificate of the site ends; those that cannot be read here are left out."""
    found = []
    for name, path in (
        ("site root", layout.site_root),
        ("device authority", layout.device_authority),
        ("vendor face", layout.gateway / "front.pem"),
        ("console", layout.control / "plant-face.pem"),
    ):
        try:
            found.append((name, _certificate(path).not_valid_after_utc))
        except (OSError, ValueError):
            continue
    try:
        found.append(("SSH door", datetime.fromtimestamp(_host_certificate(layout).valid_before, UTC)))
    except (OSError, ValueError, TypeError):
        return found
    return found


def judge_expiry(name: str, ends_at: datetime, now: datetime) -> Finding:
    """How long a certificate lasts."""
    days = (ends_at - now).days
    words = f"the {name} certificate lasts {days} more days, to {ends_at:%Y-%m-%d}"
    if ends_at <= now:
        words = f"the {name} certificate ended on {ends_at:%Y-%m-%d}"
        return Finding("certificates", State.FAILED, words, "Run: sallyport renew-certificates --root-key FILE")
    if days < _WARN_DAYS:
        return Finding(
            "certificates",
            State.WARNING,
            words,
            "Fetch the site root's key; then: sallyport renew-certificates --root-key FILE",
        )
    return Finding("certificates", State.OK, words)


@contextmanager
def _as_user(uid: int) -> Iterator[None]:
    """Act as this user for a while, so that no file of the database ever belongs to root."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _database(settings: Settings, layout: Layout) -> Finding:
    url = layout.database_url(settings)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        found = f"{url.removeprefix('sqlite:///')} does not exist"
        return Finding("database", State.FAILED, found, "Restore the backup, or run sallyport init")
    try:
        with _as_user(settings.users.control):
            revision = migrations.current_revision(url)
    except SQLAlchemyError as error:
        found = f"does not answer: {type(error).__name__}"
        return Finding("database", State.FAILED, found, "Start the database; check site.database_url")
    return judge_revision(revision, migrations.known_revisions())


def judge_revision(revision: str | None, known: Sequence[str]) -> Finding:
    """Whether the schema is this release's; `known` begins with the newest revision."""
    if revision == known[0]:
        return Finding("database", State.OK, f"answers, at this release's revision {revision}")
    if revision is None:
        return Finding("database", State.FAILED, "is empty", "Run sallyport init, or restore the backup")
    if revision in known:
        found = f"is at {revision}, this release's is {known[0]}"
        return Finding("database", State.WARNING, found, "Start the control plane: it upgrades the schema")
    found = f"is at {revision}, which this release does not know"
    return Finding("database", State.FAILED, found, "Install the newer release, or restore a backup of this one's")


def _space(path: Path) -> tuple[Path, int, int]:
    usage = shutil.disk_usage(path)
    return path, usage.free, usage.total


def judge_space(path: Path, free_bytes: int, total_bytes: int) -> Finding:
    """Whether recordings find room: without it no session begins, and one that is running ends."""
    words = f"{free_bytes / _GIB:.1f} GiB of {total_bytes / _GIB:.1f} GiB free at {path}"
    if free_bytes < _FREE_FAILED:
        return Finding("recordings", State.FAILED, words, "Make room: sessions cannot be recorded and are refused")
    if free_bytes < _FREE_WARNING or free_bytes * 10 < total_bytes:
        return Finding("recordings", State.WARNING, words, "Make room, or move recordings to a larger volume")
    return Finding("recordings", State.OK, words)


def judge_unmask_keys(keys: Sequence[str]) -> Finding:
    """Whether what is typed and not shown needs two auditors to be read."""
    if keys:
        return Finding("typed secrets", State.OK, "sealed to two auditors' keys")
    words = "typed passwords are under the site's own recording key"
    todo = "Two auditors each run: sallyport evidence auditor-key; set recordings.unmask_keys"
    return Finding("typed secrets", State.WARNING, words, todo)


def _answers(settings: Settings, layout: Layout) -> list[Finding]:
    listening = _listening(Path("/proc/net/unix").read_text(encoding="ascii", errors="replace"))
    silent = [name for name in _SOCKETS if str(layout.socket(name)) not in listening]
    do = "Start the site: systemctl start sallyport.target; its words: journalctl -u 'sallyport-*'"
    findings = [
        Finding("local sockets", State.FAILED, f"nobody listens on {', '.join(silent)}", do)
        if silent
        else Finding("local sockets", State.OK, f"{len(_SOCKETS)} are listened on")
    ]
    try:
        parts = alive.readiness(settings, layout)
    except alive.NotAlive as error:
        return [*findings, Finding("console", State.FAILED, str(error), do)]
    findings.append(Finding("console", State.OK, "answers with the site's certificate"))
    for name, ready in parts.items():
        words = "connected" if name != "database" else "answers the control plane"
        findings.append(
            Finding(name, State.OK, words) if ready else Finding(name, State.FAILED, "the console misses it", do)
        )
    return findings


def _listening(table: str) -> set[str]:
    """The paths of Unix sockets that accept connections, of /proc/net/unix (flag __SO_ACCEPTCON)."""
    rows = [line.split(maxsplit=7) for line in table.splitlines()[1:]]
    return {row[7] for row in rows if len(row) == 8 and int(row[3], 16) & 0x10000}
