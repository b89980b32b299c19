"""The site's settings: one TOML file, typed, with unknown keys as errors.

Standard library only, because the root supervisor reads it too. Each setting declares its type, default and meaning
here and nowhere else; `sallyport config` prints them.
"""

import dataclasses
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import SplitResult, parse_qs, urlsplit

_DATABASES = ("sqlite:////", "postgresql+psycopg://")
_PART_MIB = 8
_MOST_PARTS = 9_999
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_WORD = re.compile(r"[!-~]{1,128}")
_PREFIX = re.compile(r"(?:(?!\.{1,2}/)[A-Za-z0-9._-]{1,64}/){0,8}")
_LOCK = re.compile(r"compliance|governance")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")
LEAST_KEEP_DAYS = 180
MOST_KEEP_DAYS = 36_500
SectionT = TypeVar("SectionT")


class SettingsError(Exception):
    """The settings cannot be used: says which key, what is wrong and what is expected."""


def _setting(help_text: str, default: Any = dataclasses.MISSING, factory: Any = dataclasses.MISSING) -> Any:
    return field(default=default, default_factory=factory, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class SiteSection:
    """Who this plant is and where its data lies."""

    name: str = _setting("short name of the site: small letters, digits, hyphens")
    state_dir: str = _setting("keys, database and recordings", "/var/lib/sallyport")
    run_dir: str = _setting("sockets of the running processes", "/run/sallyport")
    ssh_domain: str = _setting("engineers reach targets as <target>.<ssh_domain>", "plant")
    database_url: str = _setting("SQLAlchemy address; empty means SQLite in state_dir", "")
    language: str = _setting("language of new people: zh-CN or en", "zh-CN")


@dataclass(frozen=True, kw_only=True)
class VendorFaceSection:
    """The side that vendors reach, hidden behind the knock."""

    host: str = _setting("address that vendors' clients connect to")
    interface: str = _setting("network interface of that address")
    listen: str = _setting("address to listen on; empty means host", "")
    tls_port: int = _setting("TCP port of the vendor face (TLS)", 443)
    ssh_port: int = _setting("TCP port of the SSH door", 22)
    knock_ports: list[int] = _setting("UDP ports the guard listens on", factory=lambda: [62201])


@dataclass(frozen=True, kw_only=True)
class PlantFaceSection:
    """The side of administrators and auditors, on the management network only."""

    host: str = _setting("address of the console")
    interface: str = _setting("network interface of that address")
    port: int = _setting("TCP port of the console (TLS)", 8443)
    networks: list[str] = _setting("prefixes that may reach the console")
    host_ports: list[int] = _setting("other TCP ports of this host for the same prefixes, like its SSH", factory=list)


@dataclass(frozen=True, kw_only=True)
class UsersSection:
    """The five unprivileged user ids; they need no entry in the password file."""

    opener: int = _setting("firewall writer", 61184)
    guard: int = _setting("knock judge", 61185)
    gateway: int = _setting("sessions", 61186)
    control: int = _setting("database, policy, console", 61187)
    archive: int = _setting("object store", 61188)


@dataclass(frozen=True, kw_only=True)
class LimitsSection:
    """Bounds that policy may not exceed."""

    grant_hours: int = _setting("longest window of one grant", 12)
    autonomy_seconds: int = _setting("how long a session lives on without the control plane", 300)
    idle_seconds: int = _setting("a session without input ends after this time", 1800)
    must_be_watched: bool = _setting("hold a session's input unless somebody at the plant watches", default=False)


@dataclass(frozen=True, kw_only=True)
class RecordingsSection:
    """How recordings are written, and what happens when they cannot be."""

    sync_seconds: float = _setting("recordings are forced to disk this often; 0 leaves it to the kernel", 5.0)
    anchor_seconds: float = _setting("a signed head of a running recording goes to the audit trail this often", 30.0)
    reserve_mib: int = _setting("room held on disk for a session before it starts, and ahead of what is written", 8)
    most_mib: int = _setting("a recording grows to this size at most; its session then ends", 4096)
    least_free_mib: int = _setting("with less free room than this no session begins", 64)
    unmask_keys: list[str] = _setting(
        "public keys (hex) of the two auditors who together read typed input that no screen showed", factory=list
    )
    keep_days: int = _setting("recordings are kept this long after their end, at least 180 days", 180)
    hold_when_full: bool = _setting("a session that finds no room waits for it instead of ending", default=False)


@dataclass(frozen=True, kw_only=True)
class ObjectStoreSection:
    """The bucket that keeps recordings under Object Lock; without an endpoint they stay on this machine."""

    endpoint: str = _setting("https://HOST[:PORT] of the S3 service; empty means none", "")
    address: str = _setting("IP address of that host, when it is a name; the firewall lets nothing else through", "")
    allow_http: bool = _setting("take http:// as well: for tests alone", default=False)
    region: str = _setting("the service's name of its region", "us-east-1")
    bucket: str = _setting("bucket with versions and Object Lock", "")
    prefix: str = _setting("what every object's name begins with, like plant-1/", "")
    access_key_id: str = _setting("whose secret lies in secret_file", "")
    secret_file: str = _setting("file with the secret access key, readable by the archive's user alone", "")
    ca_file: str = _setting("authorities of the endpoint's certificate; empty means the system's", "")
    lock_mode: str = _setting("Object Lock: compliance or governance", "compliance")
    lock_days: int = _setting("each object is locked for so long, at least 180 days", 180)
    keep_local_days: int = _setting("a recording stays here too for so long after its copy was verified", 7)

    @property
    def is_used(self) -> bool:
        """Whether there is a store of objects."""
        return bool(self.endpoint)

    def part_bytes(self, most_mib: int) -> int:
        """So large a part that a recording of `most_mib` fits into one object."""
        return max(_PART_MIB, -(-most_mib // _MOST_PARTS)) << 20

    @property
    def target(self) -> tuple[str, int]:
        """The address and TCP port of the endpoint."""
        parts = urlsplit(self.endpoint)
        return self.address or parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


@dataclass(frozen=True, kw_only=True)
class EvidenceSection:
    """What must outlive the database."""

    witness_file: str = _setting("signed checkpoints of the audit trail; empty means witness/ in state_dir", "")


@dataclass(frozen=True, kw_only=True)
class BoundarySection:
    """The firewall between the broker and the plant."""

    plan_file: str = _setting("zones and networks of that firewall (docs/boundary.md); empty: no rules are made", "")


@dataclass(frozen=True, kw_only=True)
class MetricsSection:
    """What Prometheus may read at the plant face."""

    token_file: str = _setting("file with the bearer token of /metrics; empty means no metrics", "")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a site configures."""

    site: SiteSection
    vendor_face: VendorFaceSection
    plant_face: PlantFaceSection
    users: UsersSection = field(default_factory=UsersSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    recordings: RecordingsSection = field(default_factory=RecordingsSection)
    object_store: ObjectStoreSection = field(default_factory=ObjectStoreSection)
    evidence: EvidenceSection = field(default_factory=EvidenceSection)
    boundary: BoundarySection = field(default_factory=BoundarySection)
    metrics: MetricsSection = field(default_factory=MetricsSection)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.site.name):
            raise SettingsError("site.name: use small letters, digits and hyphens, at most 42")
        if not _NAME.fullmatch(self.site.ssh_domain):
            raise SettingsError("site.ssh_domain: use small letters, digits and hyphens")
        if self.site.language not in {"zh-CN", "en"}:
            raise SettingsError("site.language: zh-CN or en")
        for key, path in (("site.state_dir", self.site.state_dir), ("site.run_dir", self.site.run_dir)):
            if not Path(path).is_absolute():
                raise SettingsError(f"{key}: an absolute path is needed, not {path!r}")
        _check_recordings(self.recordings)
        _check_object_store(self.object_store)
        if self.evidence.witness_file and not Path(self.evidence.witness_file).is_absolute():
            raise SettingsError(
                f"evidence.witness_file: an absolute path is needed, not {self.evidence.witness_file!r}"
            )
        _check_database(self.site.database_url)
        for key, address in (("vendor_face.host", self.vendor_face.host), ("plant_face.host", self.plant_face.host)):
            _check_address(key, address)
        ports = (self.vendor_face.tls_port, self.vendor_face.ssh_port, self.plant_face.port)
        for port in (*ports, *self.vendor_face.knock_ports, *self.plant_face.host_ports):
            if not 1 <= port <= 65535:
                raise SettingsError(f"a port lies between 1 and 65535, not {port}")
        if not self.vendor_face.knock_ports or len(self.vendor_face.knock_ports) > 8:
            raise SettingsError("vendor_face.knock_ports: one to eight ports")
        if self.vendor_face.tls_port == self.vendor_face.ssh_port:
            raise SettingsError("vendor_face: tls_port and ssh_port must differ")
        for network in self.plant_face.networks:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise SettingsError(f"plant_face.networks: {network!r} is no prefix such as 10.20.0.0/24") from None
        if not self.plant_face.networks:
            raise SettingsError("plant_face.networks: name at least one prefix that may reach the console")
        management = [self.plant_face.port, *self.plant_face.host_ports]
        if len(set(management)) != len(management) or len(management) > 16:
            raise SettingsError("plant_face.host_ports: at most 15 ports, each once, without the console's own")
        users = dataclasses.astuple(self.users)
        if len(set(users)) != len(users) or 0 in users:
            raise SettingsError("users: five different ids, none of them 0")


def _check_recordings(section: RecordingsSection) -> None:
    for key, value, least, most in (
        ("sync_seconds", section.sync_seconds, 0, 3600),
        ("anchor_seconds", section.anchor_seconds, 5, 3600),
        ("reserve_mib", section.reserve_mib, 1, 1024),
        ("most_mib", section.most_mib, 16, 1024 * 1024),
        ("least_free_mib", section.least_free_mib, 1, 1024 * 1024),
    ):
        if not least <= value <= most:
            raise SettingsError(f"recordings.{key}: {least} to {most}, not {value}")
    if not LEAST_KEEP_DAYS <= section.keep_days <= MOST_KEEP_DAYS:
        raise SettingsError(
            f"recordings.keep_days: {LEAST_KEEP_DAYS} to {MOST_KEEP_DAYS}, not {section.keep_days}: "
            f"no recording is destroyed before {LEAST_KEEP_DAYS} days have passed"
        )
    keys = section.unmask_keys
    if len(keys) not in (0, 2) or len(set(keys)) != len(keys) or not all(_PUBLIC_KEY.fullmatch(one) for one in keys):
        raise SettingsError(
            "recordings.unmask_keys: none, or two different keys of 64 hexadecimal digits "
            "('sallyport evidence auditor-key' makes one)"
        )


def _check_object_store(section: ObjectStoreSection) -> None:
    if not section.is_used:
        if section != ObjectStoreSection():
            raise SettingsError("object_store.endpoint is missing: the section's other keys say nothing without it")
        return
    parts = _endpoint(section)
    if section.address:
        _check_address("object_store.address", section.address)
    try:
        named = str(ipaddress.ip_address(parts.hostname or ""))
    except ValueError:
        named = ""
    if (named or section.address) == "" or (named and section.address not in ("", named)):
        raise SettingsError(
            "object_store.address: the IP address of the endpoint's host is needed, because nothing asks a name server"
        )
    for key, value, shape, words in (
        ("bucket", section.bucket, _BUCKET, "3 to 63 small letters, digits, '.' and '-'"),
        ("region", section.region, _WORD, "one word"),
        ("access_key_id", section.access_key_id, _WORD, "one word"),
        ("prefix", section.prefix, _PREFIX, "nothing, or names that each end with '/'"),
        ("lock_mode", section.lock_mode, _LOCK, "compliance or governance"),
    ):
        if not shape.fullmatch(value):
            raise SettingsError(f"object_store.{key}: {words}, not {value!r}")
    for key, path in (("secret_file", section.secret_file), ("ca_file", section.ca_file or "/")):
        if not Path(path).is_absolute():
            raise SettingsError(f"object_store.{key}: an absolute path is needed, not {path!r}")
    if not LEAST_KEEP_DAYS <= section.lock_days <= MOST_KEEP_DAYS:
        raise SettingsError(
            f"object_store.lock_days: {LEAST_KEEP_DAYS} to {MOST_KEEP_DAYS}, not {section.lock_days}: "
            f"no object may be destroyed before {LEAST_KEEP_DAYS} days have passed"
        )
    if not 0 <= section.keep_local_days <= MOST_KEEP_DAYS:
        raise SettingsError(f"object_store.keep_local_days: 0 to {MOST_KEEP_DAYS}, not {section.keep_local_days}")


def _endpoint(section: ObjectStoreSection) -> SplitResult:
    parts = urlsplit(section.endpoint)
    try:
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if not parts.hostname or not port_fits or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError(f"object_store.endpoint: https://HOST[:PORT] is needed, not {section.endpoint!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and section.allow_http):
        raise SettingsError("object_store.endpoint: it begins with https://; http:// needs allow_http, for tests")
    return parts


def _check_database(url: str) -> None:
    if not url:
        return
    if not url.startswith(_DATABASES):
        raise SettingsError(f"site.database_url: it begins with {' or '.join(_DATABASES)}")
    parts = urlsplit(url)
    if parts.password is not None or "password" in parse_qs(parts.query):
        raise SettingsError("site.database_url: no password here; use the Unix socket, or ?passfile=FILE")


def _check_address(key: str, address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise SettingsError(f"{key}: an IP address is needed, not {address!r}") from None


def load(path: Path) -> Settings:
    """Read and check a settings file.

    Raises SettingsError naming the key when something is missing, unknown or of the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); name the file with --config") from None
    try:
        return parse(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def parse(document: Mapping[str, Any]) -> Settings:
    """Settings from a parsed TOML document."""
    hints = get_type_hints(Settings)
    unknown = set(document) - set(hints)
    if unknown:
        raise SettingsError(f"unknown section [{sorted(unknown)[0]}]; known are {', '.join(hints)}")
    sections = {}
    for name, section_class in hints.items():
        values = document.get(name, {})
        if not isinstance(values, dict):
            raise SettingsError(f"[{name}] must be a section")
        sections[name] = _section(name, section_class, values)
    return Settings(**sections)


def _section(name: str, section_class: type[SectionT], values: Mapping[str, Any]) -> SectionT:
    hints = get_type_hints(section_class)
    for key, value in values.items():
        if key not in hints:
            raise SettingsError(f"unknown key {name}.{key}; known are {', '.join(hints)}")
        if not _fits(value, hints[key]):
            raise SettingsError(f"{name}.{key}: expected {_type_name(hints[key])}, got {value!r}")
    missing = [
        part.name
        for part in dataclasses.fields(section_class)  # type: ignore[arg-type]
        if part.default is dataclasses.MISSING
        and part.default_factory is dataclasses.MISSING
        and part.name not in values
    ]
    if missing:
        raise SettingsError(f"{name}.{missing[0]} is missing")
    return section_class(**values)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(item, get_args(kind)[0]) for item in value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def _type_name(kind: Any) -> str:
    return f"a list of {get_args(kind)[0].__name__}" if get_origin(kind) is list else str(kind.__name__)


def described() -> list[tuple[str, str, str, str]]:
    """Every setting as (key, type, default, meaning), for people."""
    rows = []
    for section_name, section_class in get_type_hints(Settings).items():
        hints = get_type_hints(section_class)
        for part in dataclasses.fields(section_class):
            if part.default_factory is not dataclasses.MISSING:
                default = repr(part.default_factory())
            else:
                default = "required" if part.default is dataclasses.MISSING else repr(part.default)
            rows.append((f"{section_name}.{part.name}", _type_name(hints[part.name]), default, part.metadata["help"]))
    return rows
